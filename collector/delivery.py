"""From batches to the store by way of the spool, and from the spool when the store was away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import ParamSpec, TypeVar

from collector.breaker import Breaker
from collector.errors import HubError, Overloaded, Unavailable
from collector.failures import describe
from collector.ledger import Account, Entry, Ledger
from collector.signals import Signal
from collector.spool import SpoolDamaged, SpoolError
from collector.spool.spool import Accepted, Batch, Spool
from collector.writer import Acknowledgement, Outcome, Writer, Written

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
# A batch that fails this often, while others are stored, is looked at request by request.
_SUSPICIOUS_FAILURES = 4
# It makes way for so many others, and again after as many failures. Not for all of them: the store may have taken it without
# saying so, and recognises it only among its last non_replicated_deduplication_window inserts.
_MAKES_WAY = 100
_MOST_WAYS = 4
_STORED = Acknowledgement()
_NO_OUTCOME = Unavailable("The hub could not store the request. Send again.", RETRY_SECONDS)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Waiting:
    """An accepted request and whoever waits for its outcome. `deadline` is on the clock of the event loop; with
    `until_stored` the spool is not enough."""

    request: Accepted
    outcome: asyncio.Future[Outcome]
    deadline: float
    until_stored: bool = False

    @property
    def tenant(self) -> str:
        return self.request.tenant

    @property
    def size(self) -> int:
        return len(self.request.body)

    def resolve(self, outcome: Outcome) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


def earliest_deadline(batch: Iterable[Waiting]) -> float:
    return min(each.deadline for each in batch)


class Delivery:
    """Writes a batch to the spool, inserts it, answers. Runs on one event loop; disk and store have threads of their own.

    A request is answered when it is committed. One whose commit takes too long, or has to wait because the store is
    away, is answered when it is in the spool. What the store does not take by its deadline the drain inserts later, in
    order.
    """

    def __init__(self, spool: Spool, writer: Writer, breaker: Breaker, ledger: Ledger, concurrent_inserts: int) -> None:
        self._spool = spool
        self._writer = writer
        self._breaker = breaker
        self._ledger = ledger
        self._slots = asyncio.Semaphore(concurrent_inserts)
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._inserts = ThreadPoolExecutor(concurrent_inserts, thread_name_prefix="insert")
        self._backlog: list[tuple[int, int]] = []
        self._failures: Counter[int] = Counter()
        self._stored_since: dict[int, int] = {}
        self._stored = 0
        self._drain: asyncio.Task[None] | None = None
        self._removal: asyncio.Task[None] | None = None
        # By batch and request id.
        self._until_stored: dict[int, dict[int, Waiting]] = {}
        self._recovering: set[int] = set()
        self._recovered = asyncio.Event()
        self._recovered.set()

    @property
    def backlog(self) -> int:
        """Batches that are in the spool and not being inserted."""
        return len(self._backlog)

    async def recover(self, remember: Callable[[Batch], None]) -> None:
        """Take up what an earlier process left in the spool; `remember` is given each batch of it. Raises SpoolError."""
        for sequence in self._spool.waiting():
            batch = await self._on_disk(self._spool.read, sequence)
            accounts = _accounts(batch)
            for account, requests in Counter(accounts).items():
                self._ledger.record(*account, Entry.RECOVERED, requests)
            self._ledger.under_way(accounts, 1)
            remember(batch)
            self._recovering.add(sequence)
            self._recovered.clear()
            self._postpone(sequence)

    async def recovered(self) -> None:
        """Wait until what `recover` has taken up is stored, but what cannot be read."""
        await self._recovered.wait()

    async def drained(self) -> None:
        """Wait until nothing is left to be taken from the spool, but what cannot be read."""
        if self._drain is not None:
            await asyncio.wait([self._drain])

    async def slot(self, patience: float) -> bool:
        """Wait for the right to insert; False when the store is away or too busy for `patience` seconds. Whoever got
        it gives it to `deliver`."""
        if self._breaker.is_open or (self._backlog and not self._breaker.is_closed):
            return False
        try:
            await asyncio.wait_for(self._slots.acquire(), max(patience, 0.0))
        except TimeoutError:
            return False
        return True

    async def deliver(self, signal: Signal, batch: Sequence[Waiting], answer_by: float, *, slot: bool) -> float:
        """Spool the batch, insert it, resolve every outcome: when it is committed, or at `answer_by` on the clock of the
        event loop. Without a `slot` outcomes are resolved at once; the batch waits for its insert until its deadline,
        and then in the spool. Returns the seconds of the insert."""
        try:
            spooled = await self._append(signal, batch)
            if spooled is None:
                return 0.0
            self._note_patient(spooled, batch)
            if not slot:
                self._resolve(batch, {})
                slot = await self.slot(earliest_deadline(batch) - asyncio.get_running_loop().time())
            if slot:
                return await self._insert(spooled, batch, answer_by)
            self._postpone(spooled.sequence)
            return 0.0
        finally:
            if slot:
                self._slots.release()

    async def close(self, patience: float) -> None:
        """Insert what is in the spool for `patience` seconds more; the rest stays there. Idempotent."""
        if self._drain is not None:
            await asyncio.wait([self._drain], timeout=patience if self._breaker.is_closed else 0)
            self._drain.cancel()
        for sequence in list(self._until_stored):
            self._disappoint(sequence)
        self._inserts.shutdown(wait=False)
        self._disk.shutdown(wait=False)

    async def _append(self, signal: Signal, batch: Sequence[Waiting]) -> Batch | None:
        """The batch in the spool; None when it could not be written, and the senders have been told."""
        try:
            return await self._on_disk(self._spool.append, signal, [each.request for each in batch])
        except SpoolError as error:
            refusal: HubError = Overloaded(
                f"{str(error)[:1].upper()}{str(error)[1:]}. Send again later.", RETRY_SECONDS
            )
        except Exception:
            log.exception("a batch could not be spooled")
            refusal = _NO_OUTCOME
        self._refuse(batch, refusal)
        return None

    async def _insert(self, spooled: Batch, batch: Sequence[Waiting], answer_by: float) -> float:
        answer = asyncio.get_running_loop().call_at(answer_by, self._resolve, batch, {})
        started = time.perf_counter()
        try:
            written = await self._run(self._inserts, self._writer.write, spooled.envelopes)
        finally:
            answer.cancel()
        ids = [envelope.request_id for envelope in spooled.envelopes]
        by_place = {place: written.outcomes[each] for place, each in enumerate(ids) if each in written.outcomes}
        self._resolve(batch, by_place)
        await self._settle(spooled, written)
        return time.perf_counter() - started

    def _resolve(self, batch: Sequence[Waiting], outcomes: dict[int, Outcome]) -> None:
        """By place in the batch; what has no outcome yet is safe in the spool."""
        for place, each in enumerate(batch):
            if place in outcomes or not each.until_stored:
                each.resolve(outcomes.get(place, _STORED))

    def _note_patient(self, spooled: Batch, batch: Sequence[Waiting]) -> None:
        pairs = zip(spooled.envelopes, batch, strict=True)
        if patient := {envelope.request_id: each for envelope, each in pairs if each.until_stored}:
            self._until_stored[spooled.sequence] = patient

    def _disappoint(self, sequence: int) -> None:
        for each in self._until_stored.pop(sequence, {}).values():
            each.resolve(_NO_OUTCOME)

    def _refuse(self, batch: Sequence[Waiting], error: HubError) -> None:
        for each in batch:
            self._ledger.refuse(each.tenant, each.request.signal, "spool")
            each.resolve(error)
        self._ledger.under_way([(each.tenant, each.request.signal) for each in batch], -1)

    async def _settle(self, batch: Batch, written: Written) -> None:
        decided = [each for each in batch.envelopes if each.request_id in written.outcomes]
        ends = Counter((each.tenant, each.signal, _entry(written.outcomes[each.request_id])) for each in decided)
        for (tenant, signal, entry), requests in ends.items():
            self._ledger.record(tenant, signal, entry, requests)
        self._ledger.under_way([(each.tenant, each.signal) for each in decided], -1)
        patient = self._until_stored.get(batch.sequence, {})
        for request_id in patient.keys() & written.outcomes.keys():
            patient.pop(request_id).resolve(written.outcomes[request_id])
        if written.error is not None:
            log.error("the store did not take a batch; it is in the spool", extra={"requests": len(batch.envelopes), "error": describe(written.error)})  # fmt: skip
            if decided:
                await self._on_disk(self._spool.settle, batch, [each.request_id for each in decided])
            self._failures[batch.sequence] += 1
            self._stored_since.setdefault(batch.sequence, self._stored)
            self._postpone(batch.sequence)
        else:
            self._stored += 1
            self._until_stored.pop(batch.sequence, None)
            self._failures.pop(batch.sequence, None)
            self._stored_since.pop(batch.sequence, None)
            await self._on_disk(self._spool.settle, batch)
            self._remove_settled()
            self._note_recovered(batch.sequence)

    def _note_recovered(self, sequence: int) -> None:
        self._recovering.discard(sequence)
        if not self._recovering:
            self._recovered.set()

    def _remove_settled(self) -> None:
        """One removal at a time, and nobody waits for it: it flushes the store to its disk."""
        if self._removal is None or self._removal.done():
            self._removal = asyncio.create_task(asyncio.to_thread(self._spool.remove_settled))

    def _postpone(self, sequence: int) -> None:
        ways = min(self._failures[sequence] // _SUSPICIOUS_FAILURES, _MOST_WAYS)
        heappush(self._backlog, (sequence + ways * _MAKES_WAY, sequence))
        if self._drain is None or self._drain.done():
            self._drain = asyncio.create_task(self._drain_spool())

    async def _drain_spool(self) -> None:
        while self._backlog:
            while self._breaker.is_open:
                await asyncio.sleep(min(self._breaker.recovery_seconds / 5, 1.0))
            async with self._slots:
                _, sequence = heappop(self._backlog)
                await self._try(sequence)
            if self._failures[sequence]:
                doublings = min(self._failures[sequence], 10)
                await asyncio.sleep(min(0.1 * 2**doublings, self._breaker.recovery_seconds))

    async def _try(self, sequence: int) -> None:
        try:
            await self._replay(sequence)
        except SpoolDamaged as error:
            log.error("a batch in the spool cannot be read; it stays there", extra={"error": str(error)})
            self._disappoint(sequence)
            self._note_recovered(sequence)
        except Exception:  # too many open files, say: the others must not wait for it, nor it for the next start
            log.exception("a batch could not be taken from the spool; it is tried again")
            self._failures[sequence] += 1
            self._postpone(sequence)

    async def _replay(self, sequence: int) -> None:
        batch = await self._on_disk(self._spool.read, sequence)
        others_stored = self._stored > self._stored_since.get(sequence, self._stored)
        suspicious = others_stored and self._failures[sequence] >= _SUSPICIOUS_FAILURES
        write = self._writer.isolate if suspicious else self._writer.write
        await self._settle(batch, await self._run(self._inserts, write, batch.envelopes))

    async def _on_disk(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(self._disk, function, *args, **kwargs)

    @staticmethod
    async def _run(executor: Executor, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(executor, lambda: function(*args, **kwargs))


def _entry(outcome: Outcome) -> Entry:
    return Entry.STORED if isinstance(outcome, Acknowledgement) else Entry.DEAD_LETTERED


def _accounts(batch: Batch) -> list[Account]:
    return [(envelope.tenant, envelope.signal) for envelope in batch.envelopes]
