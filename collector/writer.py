"""Batches of envelopes into the store: one insert a batch, and what to do when the store refuses it."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry import trace

from collector.envelope import Envelope
from collector.errors import HubError, InvalidRequest, Unavailable
from collector.metrics import CollectorMetrics
from collector.protobuf import explain
from collector.signals import REQUESTS
from storage import otlp_schema
from storage.store import Store, StoreError

log = logging.getLogger(__name__)
tracer = trace.get_tracer("llmhub.collector")

RETRY_SECONDS = 1.0
_MEMORY_LIMIT_EXCEEDED = 241
# https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
# Only these say that the bytes are wrong, some of them only with the text behind them: a oneof that is set twice, an
# array that ends early, a bool that is neither 0 nor 1. Every other error may pass, so the sender is told to retry.
BAD_DATA = {
    27: "",  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
    32: "",  # ATTEMPT_TO_READ_AFTER_EOF
    33: "",  # CANNOT_READ_ALL_DATA
    36: "ProtobufRowInputFormat",  # BAD_ARGUMENTS
    49: "ProtobufRowInputFormat",  # LOGICAL_ERROR
    117: "",  # INCORRECT_DATA
    131: "",  # TOO_LARGE_STRING_SIZE
    241: "ProtobufRowInputFormat",  # MEMORY_LIMIT_EXCEEDED: a length of terabytes, or too little memory; see _verdict
    436: "ProtobufRowInputFormat",  # PROTOBUF_BAD_CAST
    444: "",  # UNKNOWN_PROTOBUF_FORMAT
}
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
    **otlp_schema.JSON_SETTINGS,
}


@dataclass(frozen=True)
class Acknowledgement:
    """The request is committed, all but `rejected` records, which are dead letters for `reason`."""

    rejected: int = 0
    reason: str = ""


Outcome = Acknowledgement | HubError


class Writer:
    """Writes batches, blocking. Thread-safe as far as the store is."""

    def __init__(self, store: Store, metrics: CollectorMetrics) -> None:
        self._store = store
        self._metrics = metrics

    def write(self, batch: Sequence[Envelope]) -> dict[int, Outcome]:
        """Insert a batch of one signal; the outcome of each request by its id. Raises nothing.

        Out of a batch that the store refuses, the requests at fault are taken; their neighbours are stored.
        """
        try:
            return self._write(batch)
        except Exception:
            # A sender must get an answer whatever happens here; not knowing the cause, it may retry.
            log.exception("writing a batch failed unexpectedly", extra={"requests": len(batch)})
            return {envelope.request_id: _unavailable(StoreError("unexpected")) for envelope in batch}

    def _write(self, batch: Sequence[Envelope]) -> dict[int, Outcome]:
        try:
            self._insert(batch)
        except StoreError as error:
            return self._refused(batch, error)
        return self._acknowledgements(batch)

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
        self._store.insert(table, b"".join(envelope.data for envelope in batch), fmt="Protobuf", settings=settings)

    def _refused(self, batch: Sequence[Envelope], error: StoreError) -> dict[int, Outcome]:
        if not _is_bad_data(error):
            log.error("the store refused a batch", extra={"requests": len(batch), "error": error.message})
            return {envelope.request_id: _unavailable(error) for envelope in batch}
        if len(batch) == 1:
            return {batch[0].request_id: _verdict(batch[0], error)}
        broken = {envelope.request_id: _verdict(envelope, error) for envelope, error in self._unparsable(batch)}
        rest = [envelope for envelope in batch if envelope.request_id not in broken]
        if broken:
            return {**broken, **(self.write(rest) if rest else {})}
        # Each can be parsed; what is wrong shows only behind the views.
        middle = len(batch) // 2
        return {**self.write(batch[:middle]), **self.write(batch[middle:])}

    def _unparsable(self, batch: Sequence[Envelope]) -> list[tuple[Envelope, StoreError]]:
        """The requests that the store cannot parse, found by halving against a table that stores nothing."""
        try:
            self._send(f"otlp_{batch[0].signal}_check", batch)
        except StoreError as error:
            if not _is_bad_data(error):
                return []
            if len(batch) == 1:
                return [(batch[0], error)]
            middle = len(batch) // 2
            return self._unparsable(batch[:middle]) + self._unparsable(batch[middle:])
        return []

    def _acknowledgements(self, batch: Sequence[Envelope]) -> dict[int, Outcome]:
        outcomes: dict[int, Outcome] = {envelope.request_id: Acknowledgement() for envelope in batch}
        for row in self._rejections(batch):
            if row["request_id"] in outcomes:
                outcomes[row["request_id"]] = Acknowledgement(row["rejected"], row["reason"])
                self._metrics.rejected_records.labels(batch[0].signal).inc(row["rejected"])
        return outcomes

    def _rejections(self, batch: Sequence[Envelope]) -> list[dict[str, Any]]:
        try:
            return self._store.rows(
                "SELECT request_id, count() AS rejected, arrayStringConcat(groupUniqArray(3)(reason), '; ') AS reason "
                "FROM dead_letters WHERE request_id BETWEEN {first:UInt64} AND {last:UInt64} GROUP BY request_id",
                params={"first": str(batch[0].request_id), "last": str(batch[-1].request_id)},
            )
        except Exception as error:
            # The batch is stored; only how much of it went to the dead letters stays unsaid.
            log.warning("cannot read the rejections of a batch", extra={"error": str(error)})
            return []


def _token(batch: Sequence[Envelope]) -> str:
    """The same batch, inserted again, is recognised by it."""
    return hashlib.sha256(b"".join(envelope.request_id.to_bytes(8) for envelope in batch)).hexdigest()


def _is_bad_data(error: StoreError) -> bool:
    return error.code in BAD_DATA and BAD_DATA[error.code] in error.message


def _verdict(envelope: Envelope, error: StoreError) -> Outcome:
    """What the sender of a request that the store could not read is told."""
    where = explain(envelope.body, REQUESTS[envelope.signal])
    if where is None and error.code == _MEMORY_LIMIT_EXCEEDED:
        return _unavailable(error)
    return InvalidRequest(f"The request is not a valid OTLP {envelope.signal} request: {where or error.message}")


def _unavailable(error: StoreError) -> Unavailable:
    reason = error.name or "no connection"
    return Unavailable(f"The store cannot take data now ({reason}). Nothing was lost: send again.", RETRY_SECONDS)
