"""What the receivers are given in these tests: an intake that records, and servers in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from collector.pipeline import Acknowledgement, Signal

STORED = Acknowledgement(rejected=0, reason="")


class Recorder:
    """Keeps every submission; raises each of `failures` once, then answers with `answer`, or raises it."""

    def __init__(self, answer: Acknowledgement | Exception = STORED, delay: float = 0.0) -> None:
        self.answer = answer
        self.delay = delay
        self.failures: list[Exception] = []
        self.submitted: list[tuple[Signal, str, bytes]] = []
        self.refusals: list[tuple[str, str]] = []

    async def submit(self, signal: Signal, tenant: str, body: bytes, *, until_stored: bool = False) -> Acknowledgement:
        self.submitted.append((signal, tenant, body))
        await asyncio.sleep(self.delay)
        if self.failures:
            raise self.failures.pop(0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def refused(self, signal: str, reason: str) -> None:
        self.refusals.append((signal, reason))


class Receiver(Protocol):
    async def start(self) -> str: ...
    async def stop(self, grace: float) -> None: ...


class Loop:
    """An event loop in a thread of its own, so that blocking clients can talk to what runs on it."""

    def __init__(self, factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop) -> None:
        self._loop = factory()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@contextmanager
def serving(receiver: Receiver, loop: Loop) -> Iterator[str]:
    """The address of the started receiver."""
    address = loop.run(receiver.start())
    try:
        yield address
    finally:
        loop.run(receiver.stop(grace=1))
