"""Batches that wait in the spool for the store: which is next, and what becomes of those that fail again and again."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from heapq import heappop, heappush, nsmallest

from collector.breaker import Breaker
from collector.signals import Signal

log = logging.getLogger(__name__)

# A batch makes way for others after so many failures.
_PATIENCE = 4
# It makes way for so many others, and again after as many failures. Not for all of them: the store may have taken it without
# saying so, and recognises it only among the last non_replicated_deduplication_window parts that inserts have made.
_MAKES_WAY = 100
_MOST_WAYS = 4


class Suspicion(IntEnum):
    """Whether it is the fault of its data that a batch is not stored, by how often it has failed although others had been
    stored since it failed before; others of its signal, where the error has nothing to do with data."""

    NONE = 0
    STRONG = 3
    CERTAIN = 16

    @classmethod
    def after(cls, failures: int) -> Suspicion:
        return max(each for each in cls if each <= failures)


@dataclass
class _Failures:
    """Of a batch: how many others had been stored by the last, by signal; how many, and how many count against its data."""

    stored_before: Counter[Signal]
    count: int = 0
    suspicious: int = 0


_NO_FAILURES = _Failures(Counter())


class Backlog:
    """Has batches inserted in order, several at a time while the breaker is closed and one while it is half-open. Runs on
    one event loop."""

    def __init__(
        self,
        breaker: Breaker,
        slots: asyncio.Semaphore,
        at_a_time: int,
        replay: Callable[[int, Suspicion], Awaitable[None]],
    ) -> None:
        """`replay` inserts the batch of a sequence number and reports to `stored` or `failed`. `slots` are the rights to
        insert."""
        self._breaker = breaker
        self._slots = slots
        self._replay = replay
        self._places: list[tuple[int, int]] = []
        self._failures: dict[int, _Failures] = {}
        self._stored: Counter[Signal] = Counter()
        self._drains: list[asyncio.Task[None] | None] = [None] * at_a_time

    def __len__(self) -> int:
        return len(self._places)

    def add(self, sequence: int) -> None:
        """Have the batch inserted when its turn comes."""
        heappush(self._places, (self._place(sequence), sequence))
        for number, drain in enumerate(self._drains):
            if drain is None or drain.done():
                self._drains[number] = asyncio.create_task(self._empty(first=number == 0))
                break

    def failed(self, sequence: int, signal: Signal, may_depend_on_data: bool) -> None:
        """The store has not taken the batch: it has another turn."""
        failures = self._note_failure(sequence)
        others = self._stored - failures.stored_before
        # The tables of one signal may be in order when those of another are not.
        failures.suspicious += bool(others if may_depend_on_data else others[signal])
        failures.stored_before = self._stored.copy()
        self.add(sequence)

    def stored(self, sequence: int, signal: Signal) -> None:
        """The store has taken a batch, of the backlog or not."""
        self._stored[signal] += 1
        self._failures.pop(sequence, None)

    async def drained(self) -> None:
        """Wait until no batch waits."""
        while under_way := self._under_way():
            await asyncio.wait(under_way)

    async def close(self, patience: float) -> None:
        """Go on for `patience` seconds, less when the store is away. Idempotent."""
        if under_way := self._under_way():
            await asyncio.wait(under_way, timeout=patience if self._breaker.is_closed else 0)
        for drain in under_way:
            drain.cancel()

    def _under_way(self) -> list[asyncio.Task[None]]:
        return [drain for drain in self._drains if drain is not None and not drain.done()]

    def _place(self, sequence: int) -> int:
        ways = min(self._failures_of(sequence).count // _PATIENCE, _MOST_WAYS)
        before = nsmallest(ways * _MAKES_WAY, self._places)
        return max(sequence, before[-1][0] + 1) if before else sequence

    async def _empty(self, first: bool) -> None:
        while self._places:
            while self._places and (self._breaker.is_open or not (first or self._breaker.is_closed)):
                await asyncio.sleep(min(self._breaker.recovery_seconds / 5, 1.0))
            async with self._slots:
                if not self._places:
                    return
                _, sequence = heappop(self._places)
                await self._try(sequence)
            if failures := self._failures_of(sequence).count:
                doublings = min(failures, 10)
                await asyncio.sleep(min(0.1 * 2**doublings, self._breaker.recovery_seconds))

    async def _try(self, sequence: int) -> None:
        try:
            await self._replay(sequence, Suspicion.after(self._failures_of(sequence).suspicious))
        except Exception:  # too many open files, say: the others must not wait for it, nor it for the next start
            log.exception("a batch could not be taken from the spool; it is tried again")
            self._note_failure(sequence)
            self.add(sequence)

    def _note_failure(self, sequence: int) -> _Failures:
        failures = self._failures.setdefault(sequence, _Failures(self._stored.copy()))
        failures.count += 1
        return failures

    def _failures_of(self, sequence: int) -> _Failures:
        return self._failures.get(sequence, _NO_FAILURES)
