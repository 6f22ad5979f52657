"""Blocking work that is done again and again, in a thread beside the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

log = logging.getLogger(__name__)


class Periodic:
    """Calls `work` at once and then `seconds` after each end of it; never with `seconds` 0. An exception is logged, and the
    work done again at its time. Belongs to the event loop it is started on."""

    def __init__(self, name: str, work: Callable[[], None], seconds: float) -> None:
        self._name = name
        self._work = work
        self._seconds = seconds
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._seconds:
            self._task = asyncio.create_task(self._run())

    async def stop(self, grace: float) -> None:
        """Wait at most `grace` seconds for work under way. Idempotent."""
        self._stopping.set()
        if self._task:
            await asyncio.wait([self._task], timeout=grace)

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                await asyncio.to_thread(self._work)
            except Exception as error:
                log.warning("%s: failed and is tried again", self._name, extra={"error": str(error)})
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._seconds)
