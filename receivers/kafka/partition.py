"""One assigned partition: which of its messages are in flight, what may be committed, whether it rests."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from collector.errors import Overloaded, Unavailable

Result = TypeVar("Result")


class Abandoned(Exception):
    """The partition is somebody else's now; the message is not stored here."""


class Partition:
    """Belongs to the event loop. Other threads may read `position` and `resting`.

    An object lives as long as one assignment: what is still in flight when the partition goes away cannot be mistaken for
    messages of its next assignment.
    """

    def __init__(self, topic: str, number: int) -> None:
        self.topic = topic
        self.number = number
        self.position = -1
        """The offset to commit: all messages before it are finished. -1 until the first one is."""
        self.tasks: set[asyncio.Task[None]] = set()
        self.gate = Gate()
        self._in_flight: deque[int] = deque()
        self._finished: set[int] = set()

    @property
    def resting(self) -> bool:
        return self.gate.closed

    def take(self, offset: int) -> None:
        self._in_flight.append(offset)

    def finish(self, offset: int) -> None:
        """Messages finish in any order; the position moves over those that leave no gap."""
        self._finished.add(offset)
        while self._in_flight and self._in_flight[0] in self._finished:
            first = self._in_flight.popleft()
            self._finished.remove(first)
            self.position = first + 1

    async def drain(self, seconds: float) -> None:
        """Let attempts that have begun end within `seconds`, begin no new ones, drop the rest."""
        self.gate.abandon()
        if self.tasks:
            _, late = await asyncio.wait(self.tasks, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


class Gate:
    """Lets attempts through until one is refused; then that one alone tries again, and the others wait for it."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._abandoned = asyncio.Event()

    @property
    def closed(self) -> bool:
        return not self._open.is_set()

    def abandon(self) -> None:
        self._abandoned.set()
        self._open.set()

    async def run(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        """Repeat `attempt` while it raises Overloaded or Unavailable. Raises Abandoned after abandon()."""
        while True:
            await self._open.wait()
            self._check()
            try:
                return await attempt()
            except (Overloaded, Unavailable) as error:
                delay = error.retry_after
            if not self.closed:
                return await self._retry(attempt, delay)

    async def _retry(self, attempt: Callable[[], Awaitable[Result]], delay: float) -> Result:
        self._open.clear()
        try:
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._abandoned.wait(), delay)
                self._check()
                try:
                    return await attempt()
                except (Overloaded, Unavailable) as error:
                    delay = error.retry_after
        finally:
            self._open.set()

    def _check(self) -> None:
        if self._abandoned.is_set():
            raise Abandoned
