"""From batches to the store by way of the spool, and from the spool when the store was away."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from collector.backlog import Backlog, Suspicion
from collector.breaker import Breaker
from collector.envelope import Envelope
from collector.errors import HubError, Overloaded, Unavailable
from collector.failures import describe, may_depend_on_data
from collector.ledger import Account, Entry, Ledger
from collector.pace import Pace
from collector.settings import PipelineSettings
from collector.signals import Signal
from collector.spool import SpoolDamaged, SpoolError
from collector.spool.spool import Accepted, Batch, Spool
from collector.writer import Acknowledgement, Outcome, Writer, Written

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
# What waits in the spool for its insert does so no longer than this, if the store can be had.
_MAX_GROWTH_SECONDS = 2.0
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
        _resolve(self.outcome, outcome)


def _resolve(future: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)


def overloaded(problem: str) -> Overloaded:
    """What senders are told while the spool has this `problem`."""
    return Overloaded(f"{problem[:1].upper()}{problem[1:]}. Send again later.", RETRY_SECONDS)


def earliest_deadline(batch: Iterable[Waiting]) -> float:
    return min(each.deadline for each in batch)


@dataclass
class _Growing:
    """A batch in the spool that takes more requests until its insert begins. What is not `in_memory` waits in the backlog,
    and grows on disk alone. `insert` is done when the batch is stored or in the backlog."""

    sequence: int
    in_memory: bool
    size: int = 0
    envelopes: list[Envelope] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    insert: asyncio.Task[None] | None = None

    def takes(self, size: int, in_memory: bool, max_bytes: int) -> bool:
        return (in_memory or not self.in_memory) and self.size + size <= max_bytes

    def add(self, envelopes: Sequence[Envelope], waiting: Sequence[Waiting], size: int) -> None:
        self.size += size
        if self.in_memory:
            self.envelopes += envelopes
            self.waiting += waiting

    def release(self) -> None:
        self.in_memory = False
        self.envelopes, self.waiting = [], []


class Delivery:
    """Writes requests to the spool, inserts them, answers. Runs on one event loop; disk and store have threads of their own.

    A request is answered when it is committed. One whose commit takes too long, or has to wait because the store is
    busy or away, is answered when it is in the spool. There it joins others that wait, so that they go into the store in one
    insert. What the store does not take by its deadline the backlog inserts later, in order.
    """

    def __init__(
        self, spool: Spool, writer: Writer, breaker: Breaker, ledger: Ledger, settings: PipelineSettings
    ) -> None:
        self._spool = spool
        self._writer = writer
        self._breaker = breaker
        self._ledger = ledger
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.concurrent_inserts)
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._inserts = ThreadPoolExecutor(settings.concurrent_inserts, thread_name_prefix="insert")
        self._backlog = Backlog(breaker, self._slots, settings.concurrent_inserts, self._replay)
        self._paces = {signal: Pace() for signal in Signal}
        self._growing: dict[Signal, _Growing] = {}
        # Whoever has it may add to the growing batch of a signal, or begin its insert.
        self._growth: defaultdict[Signal, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._removal: asyncio.Task[None] | None = None
        # Of a batch that has been taken apart: what is left of it, by request ids.
        self._pieces: dict[int, list[list[int]]] = {}
        # By batch and request id. Not their bodies, which are in the spool.
        self._until_stored: defaultdict[int, dict[int, asyncio.Future[Outcome]]] = defaultdict(dict)
        self._recovering: set[int] = set()
        self._recovered = asyncio.Event()
        self._recovered.set()

    @property
    def backlog(self) -> int:
        """Batches that are in the spool and wait for their turn, not in memory."""
        return len(self._backlog)

    def rest_until(self, signal: Signal) -> float:
        """When the next insert should begin, on the clock of the event loop: after a pause as long as the last one took."""
        return self._paces[signal].rest_until

    def is_gathering(self, signal: Signal) -> bool:
        """Whether what comes now should join others that wait in the spool, rather than be inserted by itself: an insert is
        under way or has just been, or a batch waits already."""
        growing = self._growing.get(signal)
        return self._paces[signal].is_resting or (growing is not None and growing.in_memory)

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
            self._backlog.add(sequence)

    async def recovered(self) -> None:
        """Wait until what `recover` has taken up is stored, but what cannot be read."""
        await self._recovered.wait()

    async def drained(self) -> None:
        """Wait until nothing is left to be taken from the spool, but what cannot be read."""
        await self._backlog.drained()

    async def slot(self, patience: float) -> bool:
        """Wait for the right to insert; False when the store is away or too busy for `patience` seconds. Whoever got
        it gives it to `deliver`."""
        if not self._breaker.is_closed:  # the backlog finds out whether the store is back
            return False
        try:
            await asyncio.wait_for(self._slots.acquire(), max(patience, 0.0))
        except TimeoutError:
            return False
        return True

    async def deliver(
        self, signal: Signal, batch: Sequence[Waiting], answer_by: float, *, slot: bool, keep: bool = True
    ) -> None:
        """Spool the batch, insert it, resolve every outcome: when it is committed, or at `answer_by` on the clock of the
        event loop. Without a `slot` outcomes are resolved as soon as it is spooled; it waits for its insert, together with
        what else does, until its deadline in memory and then in the spool; in the spool alone unless `keep` is set. Returns
        when nothing of it is left in memory."""
        if not slot:
            await self._grow(signal, batch, keep and self._breaker.is_closed)
            return
        try:
            spooled = await self._append(signal, batch)
            if spooled is not None:
                await self._insert(spooled, batch, answer_by)
        finally:
            self._slots.release()

    async def close(self, patience: float) -> None:
        """Insert what is in the spool for `patience` seconds more; the rest stays there. Idempotent."""
        await self._backlog.close(patience)
        for sequence in list(self._until_stored):
            self._disappoint(sequence)
        self._inserts.shutdown(wait=False)
        self._disk.shutdown(wait=False)

    async def _append(self, signal: Signal, batch: Sequence[Waiting], to: int | None = None) -> Batch | None:
        """The requests in the spool, as more of batch `to` if there is one; None when they could not be written, and the
        senders have been told."""
        try:
            spooled = await self._on_disk(self._spool.append, signal, [each.request for each in batch], to)
        except SpoolError as error:
            self._refuse(batch, overloaded(str(error)))
            return None
        except Exception:
            log.exception("a batch could not be spooled")
            self._refuse(batch, _NO_OUTCOME)
            return None
        pairs = zip(spooled.envelopes, batch, strict=True)
        if patient := {envelope.request_id: each.outcome for envelope, each in pairs if each.until_stored}:
            self._until_stored[spooled.sequence].update(patient)
        return spooled

    async def _grow(self, signal: Signal, batch: Sequence[Waiting], in_memory: bool) -> None:
        async with self._growth[signal]:
            growing = self._growing.get(signal)
            size = sum(each.size for each in batch)
            if growing is not None and not growing.takes(size, in_memory, self._settings.max_batch_bytes):
                growing = None
            spooled = await self._append(signal, batch, None if growing is None else growing.sequence)
            if spooled is None:
                return
            self._resolve(batch, {})
            if growing is None:
                growing = self._growing[signal] = _Growing(spooled.sequence, in_memory)
                if in_memory:
                    insert = self._insert_grown(signal, growing, earliest_deadline(batch))
                    growing.insert = asyncio.create_task(insert)
                else:
                    self._backlog.add(growing.sequence)
            growing.add(spooled.envelopes, batch, size)
            self._paces[signal].look()
        if growing.insert is not None:
            await growing.insert

    async def _insert_grown(self, signal: Signal, growing: _Growing, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        latest = min(deadline, loop.time() + _MAX_GROWTH_SECONDS)
        await self._paces[signal].rest(latest, lambda: growing.size >= self._settings.batch_bytes)
        slot = await self.slot(deadline - loop.time())
        try:
            if slot:
                await self._stop_growth(growing.sequence)
                await self._insert(Batch(growing.sequence, signal, growing.envelopes), growing.waiting)
                return
            async with self._growth[signal]:
                growing.release()
            self._backlog.add(growing.sequence)
        finally:
            if slot:
                self._slots.release()

    async def _stop_growth(self, sequence: int) -> None:
        """Before its first insert: under the token of that, nothing else may be inserted."""
        for signal, growing in list(self._growing.items()):
            if growing.sequence == sequence:
                async with self._growth[signal]:
                    if self._growing.get(signal) is growing:
                        del self._growing[signal]

    async def _insert(self, spooled: Batch, batch: Sequence[Waiting], answer_by: float | None = None) -> None:
        """Without `answer_by` those who wait have been answered, but those who wait until it is stored."""
        loop = asyncio.get_running_loop()
        answer = None if answer_by is None else loop.call_at(answer_by, self._resolve, batch, {})
        try:
            with self._paces[spooled.signal].insert():
                written = await self._run(self._inserts, self._writer.write, spooled.envelopes)
        finally:
            if answer is not None:
                answer.cancel()
        ids = [envelope.request_id for envelope in spooled.envelopes]
        by_place = {place: written.outcomes[each] for place, each in enumerate(ids) if each in written.outcomes}
        self._resolve(batch, by_place)
        await self._settle(spooled, written)

    def _resolve(self, batch: Sequence[Waiting], outcomes: dict[int, Outcome]) -> None:
        """By place in the batch; what has no outcome yet is safe in the spool."""
        for place, each in enumerate(batch):
            if place in outcomes or not each.until_stored:
                each.resolve(outcomes.get(place, _STORED))

    def _disappoint(self, sequence: int) -> None:
        for outcome in self._until_stored.pop(sequence, {}).values():
            _resolve(outcome, _NO_OUTCOME)

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
            _resolve(patient.pop(request_id), written.outcomes[request_id])
        self._pieces.pop(batch.sequence, None)
        if len(written.left) > 1:
            self._pieces[batch.sequence] = [[each.request_id for each in piece] for piece in written.left]
        if written.error is not None:
            log.error("the store did not take a batch; it is in the spool", extra={"requests": len(batch.envelopes), "error": describe(written.error)})  # fmt: skip
            if decided:
                await self._on_disk(self._spool.settle, batch, [each.request_id for each in decided])
            self._backlog.failed(batch.sequence, batch.signal, may_depend_on_data(written.error))
        else:
            self._backlog.stored(batch.sequence, batch.signal)
            self._disappoint(batch.sequence)  # those of whom the disk has lost the requests
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

    async def _replay(self, sequence: int, suspicion: Suspicion) -> None:
        await self._stop_growth(sequence)
        try:
            batch = await self._on_disk(self._spool.read, sequence)
        except SpoolDamaged as error:
            log.error("a batch in the spool cannot be read; it stays there", extra={"error": str(error)})
            self._disappoint(sequence)
            self._note_recovered(sequence)
            return
        if not batch.whole:
            log.error("a part of a batch in the spool cannot be read; it stays there", extra={"batch": sequence})
        await self._settle(batch, await self._run(self._inserts, self._write_again, batch, suspicion))

    def _write_again(self, batch: Batch, suspicion: Suspicion) -> Written:
        pieces = self._pieces_of(batch)
        if suspicion:
            return self._writer.isolate(*pieces, at_any_price=suspicion is Suspicion.CERTAIN)
        return self._writer.write(*pieces) if batch.whole else self._writer.write_rest(batch.envelopes)

    def _pieces_of(self, batch: Batch) -> list[list[Envelope]]:
        left = {each.request_id: each for each in batch.envelopes}
        pieces = self._pieces.get(batch.sequence, [list(left)])
        return list(filter(None, ([left[each] for each in piece if each in left] for piece in pieces)))

    async def _on_disk(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(self._disk, function, *args, **kwargs)

    @staticmethod
    async def _run(executor: Executor, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(executor, lambda: function(*args, **kwargs))


def _entry(outcome: Outcome) -> Entry:
    return Entry.STORED if isinstance(outcome, Acknowledgement) else Entry.DEAD_LETTERED


def _accounts(batch: Batch) -> list[Account]:
    return [(envelope.tenant, envelope.signal) for envelope in batch.envelopes]
