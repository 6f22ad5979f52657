"""Batches into the store: one insert a batch, and what to do when the store refuses it."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry import trace

from collector.breaker import Breaker
from collector.dead_letters import DeadLetter, DeadLetters
from collector.envelope import Envelope, parts
from collector.errors import DeadLettered, HubError
from collector.failures import Failure, blames_data, classify
from collector.metrics import CollectorMetrics
from collector.protobuf import explain
from collector.rejects import rejected_part
from collector.signals import REQUESTS
from storage import otlp_schema
from storage.store import Store, StoreError

log = logging.getLogger(__name__)
tracer = trace.get_tracer("llmhub.collector")

INSERT_SETTINGS: Mapping[str, str | int] = {
    "format_schema_source": "string",
    "format_schema": otlp_schema.proto(),
    "input_format_protobuf_oneof_presence": 1,
    "input_format_parallel_parsing": 0,
    # A batch must arrive as one block: what is refused half-way would leave its first half behind.
    "max_insert_block_size": 1_048_576,
    # No limit: it would be hit by a later view when an earlier one has committed. Days are bounded by the time check.
    "max_partitions_per_insert_block": 0,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    # The views read one block in memory; planning how to read less of it takes longer than reading it.
    "query_plan_enable_optimizations": 0,
    # One pass of the query analysis that finds nothing here and takes a tenth of an insert's fixed cost.
    "optimize_and_compare_chain": 0,
    **otlp_schema.JSON_SETTINGS,
}


@dataclass(frozen=True)
class Acknowledgement:
    """The request is safe, all but `rejected` records, which are dead letters for `reason`."""

    rejected: int = 0
    reason: str = ""


Outcome = Acknowledgement | HubError


@dataclass
class Written:
    """What became of requests: `outcomes` by id, and what is `left` because of `error`, in pieces. The store may have
    taken a piece without saying so: written again as it is, each is stored once."""

    outcomes: dict[int, Outcome] = field(default_factory=dict)
    left: list[Sequence[Envelope]] = field(default_factory=list)
    error: StoreError | None = None

    def fail(self, error: Exception) -> None:
        """Without the frames that it went through: they hold the batch, and this, which would hold them."""
        if isinstance(error, StoreError):
            self.error = error.with_traceback(None)
        else:
            log.exception("writing a batch failed unexpectedly")
            self.error = StoreError(f"unexpected: {error}")


class Writer:
    """Writes requests of one signal, blocking; raises nothing. Thread-safe as far as the store is.

    A piece is what goes into one insert, under one deduplication token: a whole batch at first."""

    def __init__(self, store: Store, breaker: Breaker, dead_letters: DeadLetters, metrics: CollectorMetrics) -> None:
        self._store = store
        self._breaker = breaker
        self._dead_letters = dead_letters
        self._metrics = metrics

    def write(self, *pieces: Sequence[Envelope]) -> Written:
        """Insert one piece after the other, as far as the store takes them.

        Out of a piece that it refuses, the requests at fault become dead letters; their neighbours are stored. The same
        piece again goes the same way, with the same deduplication tokens: what is stored already is skipped.
        """
        written = Written(left=list(pieces))
        try:
            while written.left:
                written.left[:1] = self._write(written.left[0], written.outcomes)
        except Exception as error:
            written.fail(error)
        return written

    def write_rest(self, batch: Sequence[Envelope]) -> Written:
        """As `write`, for what is left of a batch that may have been inserted with more in it: under that token, so that
        what is stored has to be looked up."""
        written = Written(left=[batch])
        try:
            rest = self._without(batch, self._stored(batch), written.outcomes)
        except Exception as error:
            written.fail(error)
            return written
        new = self.write(*filter(None, [rest]))
        return replace(new, outcomes=written.outcomes | new.outcomes)

    def isolate(self, *pieces: Sequence[Envelope], at_any_price: bool = False) -> Written:
        """As `write`, for what the store keeps refusing while it takes other batches: pieces are halved until the requests
        at fault are alone and become dead letters.

        Where the error says nothing about the data, and unless `at_any_price`, no request is given up, and a piece stays
        whole of which ClickHouse has begun to commit something: parts of it, with tokens of their own, would be stored
        beside that. The same insert again makes it good. What waits for an operator stays as it is at any price."""
        written = self.write(*pieces)
        kept: list[Sequence[Envelope]] = []
        reason: StoreError | None = None
        try:
            while written.error is not None:
                piece, *others = written.left
                smaller = self._halve(piece, written.error, at_any_price, written.outcomes)
                if smaller == [piece]:
                    kept.append(piece)
                    reason = reason or written.error
                    smaller = []
                    if not self._breaker.is_closed:
                        written.left = others
                        break
                new = self.write(*smaller, *others)
                written.outcomes.update(new.outcomes)
                written.left, written.error = new.left, new.error
        except Exception as error:
            written.fail(error)
        written.left[:0] = kept
        written.error = written.error or reason
        return written

    def _halve(
        self, piece: Sequence[Envelope], error: StoreError, at_any_price: bool, outcomes: dict[int, Outcome]
    ) -> list[Sequence[Envelope]]:
        """What to try next of a piece that the store has refused: itself again, later, when it has to stay as it is;
        nothing when all of it has its outcome."""
        if not blames_data(error):
            begun = self._stored(piece)
            uncertain = not at_any_price and (begun or len(piece) == 1)
            if uncertain or classify(error) is Failure.PERMANENT:
                return [piece]
            if not error.code:
                piece = self._without(piece, begun, outcomes)
        if len(piece) <= 1:
            self._give_up(piece, error, outcomes)
            return []
        middle = len(piece) // 2
        return [piece[:middle], piece[middle:]]

    def _stored(self, batch: Sequence[Envelope]) -> set[int]:
        """The ids of those whose commit has at least begun: of all tables that an insert reaches, this is the first."""
        rows = self._store.rows(
            "SELECT request_id FROM ingest_requests WHERE request_id BETWEEN {first:UInt64} AND {last:UInt64}",
            params={"first": str(batch[0].request_id), "last": str(batch[-1].request_id)},
        )
        return {row["request_id"] for row in rows} & {each.request_id for each in batch}

    def _without(self, batch: Sequence[Envelope], stored: set[int], outcomes: dict[int, Outcome]) -> Sequence[Envelope]:
        """What of the batch is not stored after all. Where ClickHouse has not said no but something on the way has, a balancer
        whose patience ends before each commit, say: in other batches, with other tokens, what is stored would be stored
        again."""
        if there := [envelope for envelope in batch if envelope.request_id in stored]:
            outcomes.update(self._acknowledgements(there))
        return [envelope for envelope in batch if envelope.request_id not in stored]

    def _give_up(self, piece: Sequence[Envelope], error: StoreError, outcomes: dict[int, Outcome]) -> None:
        reason = f"The store keeps refusing the request while it takes others: {error}"
        broken = {each.request_id: DeadLettered(reason) for each in piece}
        self._bury(broken, piece)
        outcomes.update(broken)

    def _write(self, piece: Sequence[Envelope], outcomes: dict[int, Outcome]) -> list[Sequence[Envelope]]:
        """Insert the piece; returns the pieces that it falls into when something in it is bad data."""
        try:
            self._insert(piece)
        except StoreError as error:
            if classify(error) is not Failure.BAD_DATA:
                raise
            return self._divide(piece, error, outcomes)
        outcomes.update(self._acknowledgements(piece))
        return []

    def _insert(self, batch: Sequence[Envelope]) -> None:
        signal = batch[0].signal
        started = time.perf_counter()
        outcome = "failed"
        try:
            with tracer.start_as_current_span("insert", attributes={"signal": signal.value, "requests": len(batch)}):
                self._send(f"otlp_{signal}", batch)
            outcome = "committed"
        finally:
            self._metrics.insert_seconds.labels(signal).observe(time.perf_counter() - started)
            self._metrics.batches.labels(signal, outcome).inc()

    def _send(self, table: str, batch: Sequence[Envelope]) -> None:
        settings = {
            **INSERT_SETTINGS,
            "format_schema_message_name": f"{batch[0].signal.capitalize()}Envelope",
            "insert_deduplication_token": _token(batch),
        }
        self._breaker.call(lambda: self._store.insert(table, *parts(batch), fmt="Protobuf", settings=settings))

    def _divide(
        self, batch: Sequence[Envelope], error: StoreError, outcomes: dict[int, Outcome]
    ) -> list[Sequence[Envelope]]:
        """Part a batch of which something is bad data into what can be stored and what cannot."""
        if len(batch) == 1:
            broken = {batch[0].request_id: _verdict(batch[0], error)}
        else:
            broken = _malformed(batch) or self._unparsable(batch)
        if not broken and not blames_data(error) and self._stored(batch):
            raise error  # not enough memory this time, and perhaps enough at the time before
        self._bury(broken, batch)
        outcomes.update(broken)
        rest = [envelope for envelope in batch if envelope.request_id not in broken]
        # Where each can be parsed, what is wrong shows only behind the views, and halving finds it.
        halves = [rest] if broken else [rest[: len(rest) // 2], rest[len(rest) // 2 :]]
        return list(filter(None, halves))

    def _unparsable(self, batch: Sequence[Envelope]) -> dict[int, DeadLettered]:
        """The requests that the store cannot parse, found by halving against a table that stores nothing."""
        try:
            self._send(f"otlp_{batch[0].signal}_check", batch)
        except StoreError as error:
            if classify(error) is not Failure.BAD_DATA:
                raise
            if len(batch) == 1:
                return {batch[0].request_id: _verdict(batch[0], error)}
            middle = len(batch) // 2
            return {**self._unparsable(batch[:middle]), **self._unparsable(batch[middle:])}
        return {}

    def _bury(self, broken: Mapping[int, DeadLettered], batch: Sequence[Envelope]) -> None:
        self._keep([_letter(each, str(broken[each.request_id])) for each in batch if each.request_id in broken])

    def _acknowledgements(self, batch: Sequence[Envelope]) -> dict[int, Outcome]:
        outcomes: dict[int, Outcome] = {envelope.request_id: Acknowledgement() for envelope in batch}
        by_id = {envelope.request_id: envelope for envelope in batch}
        letters = []
        for row in self._rejections(batch):
            envelope = by_id.get(row["request_id"])
            if envelope is not None:
                outcomes[envelope.request_id] = Acknowledgement(row["rejected"], row["reason"])
                letters.append(_partial_letter(envelope, row["rejected"], row["reason"]))
        self._keep(letters)
        return outcomes

    def _keep(self, letters: Sequence[DeadLetter]) -> None:
        if letters:
            self._breaker.call(lambda: self._dead_letters.keep(letters))
            self._metrics.rejected_records.labels(letters[0].signal).inc(sum(letter.records for letter in letters))

    def _rejections(self, batch: Sequence[Envelope]) -> list[dict[str, Any]]:
        return self._store.rows(
            "SELECT request_id, count() AS rejected, arrayStringConcat(groupUniqArray(3)(reason), '; ') AS reason "
            "FROM rejected_records WHERE request_id BETWEEN {first:UInt64} AND {last:UInt64} GROUP BY request_id",
            params={"first": str(batch[0].request_id), "last": str(batch[-1].request_id)},
        )


def _token(batch: Sequence[Envelope]) -> str:
    """The same requests, inserted again, are recognised by it; other bytes never are, whatever their ids."""
    return hashlib.sha256(b"".join(each.request_id.to_bytes(8) + each.digest for each in batch)).hexdigest()


def _malformed(batch: Sequence[Envelope]) -> dict[int, DeadLettered]:
    """The requests that are no protobuf of their signal. Found without the store, because a sender of nothing else would
    keep it busy: it takes dozens of inserts to find one."""
    return {each.request_id: _invalid(each, where) for each in batch if (where := _fault(each))}


def _fault(envelope: Envelope) -> str | None:
    """Where the request is malformed. Invalid UTF-8 is no fault: ClickHouse stores it."""
    try:
        REQUESTS[envelope.signal].FromString(envelope.body)
    except DecodeError:
        return explain(envelope.body, REQUESTS[envelope.signal])
    return None


def _verdict(envelope: Envelope, error: StoreError) -> DeadLettered:
    """What the sender of a request that the store could not read is told. Raises `error` when it is not to blame."""
    where = explain(envelope.body, REQUESTS[envelope.signal])
    if where is None and not blames_data(error):
        raise error
    return _invalid(envelope, where or error.message)


def _invalid(envelope: Envelope, where: str) -> DeadLettered:
    return DeadLettered(f"The request is not a valid OTLP {envelope.signal} request: {where}")


def _letter(envelope: Envelope, reason: str) -> DeadLetter:
    return DeadLetter(envelope.request_id, envelope.tenant, envelope.signal, envelope.received_ns, reason, 0, envelope.body, envelope.digest)  # fmt: skip


def _partial_letter(envelope: Envelope, records: int, reason: str) -> DeadLetter:
    try:
        body = rejected_part(envelope.signal, envelope.body, envelope.received_ns)
    except DecodeError:  # ClickHouse reads some requests that protobuf does not, such as one with invalid UTF-8
        body = envelope.body
    return DeadLetter(envelope.request_id, envelope.tenant, envelope.signal, envelope.received_ns, reason, records, body, envelope.digest)  # fmt: skip
