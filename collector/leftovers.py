"""Spools that no process writes to any more: what they hold is stored, and they are let go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from collector.breaker import Breaker
from collector.delivery import Delivery
from collector.ledger import Ledger
from collector.settings import PipelineSettings
from collector.spool import Cipher, Spool, SpoolSettings
from collector.spool.spool import Batch
from collector.writer import Writer
from storage.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Leftover:
    spool: Spool
    delivery: Delivery


class Leftovers:
    """Each batch is inserted as the process that accepted it would have: with the same ids, so that what is stored
    already is not stored again. The files stay, empty; a process that gets the directory later goes on in them."""

    def __init__(
        self,
        directories: Iterable[Path],
        cipher: Cipher,
        settings: SpoolSettings,
        store: Store,
        writer: Writer,
        breaker: Breaker,
        ledger: Ledger,
    ) -> None:
        """Opens the spools: raises SpoolError."""
        spools = [Spool(directory, cipher, settings, store.flush) for directory in directories]
        self._all = [
            _Leftover(spool, Delivery(spool, writer, breaker, ledger, PipelineSettings(concurrent_inserts=1)))
            for spool in spools
        ]
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def size_bytes(self) -> int:
        return sum(each.spool.size_bytes for each in self._all)

    @property
    def batches(self) -> int:
        return sum(each.delivery.backlog for each in self._all)

    @property
    def damaged_batches(self) -> int:
        return sum(each.spool.damaged_batches for each in self._all)

    @property
    def oldest_seconds(self) -> float:
        return max((each.spool.oldest_seconds for each in self._all), default=0.0)

    async def start(self, remember: Callable[[Batch], None]) -> None:
        """Take up what is there; `remember` is given each batch. Raises SpoolError."""
        for each in list(self._all):
            await each.delivery.recover(remember)
            self._tasks.append(asyncio.create_task(self._finish(each)))

    async def recovered(self) -> None:
        """Wait until all that `start` has taken up is stored, but what cannot be read."""
        for each in list(self._all):
            await each.delivery.recovered()

    async def close(self, patience: float) -> None:
        """As `Delivery.close`. Idempotent."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*(self._let_go(each, patience) for each in list(self._all)))

    async def _finish(self, leftover: _Leftover) -> None:
        if batches := leftover.delivery.backlog:
            log.info("storing what another process left in its spool", extra={"directory": str(leftover.spool.directory), "batches": batches})  # fmt: skip
        await leftover.delivery.drained()
        await self._let_go(leftover, 0.0)

    async def _let_go(self, leftover: _Leftover, patience: float) -> None:
        await leftover.delivery.close(patience)
        await asyncio.to_thread(leftover.spool.close)  # it flushes the store to its disk
        if not leftover.spool.waiting() and leftover in self._all:
            self._all.remove(leftover)
