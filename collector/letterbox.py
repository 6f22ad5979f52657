"""Dead letters whose bytes nobody else has."""

from __future__ import annotations

import asyncio

from collector.dead_letters import DeadLetter, DeadLetters


class Letterbox:
    """Keeps dead letters so that they survive a loss of power. All that come while others are being kept share the next
    insert, and the flush of the store behind it. Runs on one event loop; not bounded, so whoever uses it must be."""

    def __init__(self, letters: DeadLetters) -> None:
        self._letters = letters
        self._waiting: list[DeadLetter] = []
        self._next: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    async def keep(self, letter: DeadLetter) -> None:
        """Returns when it is on the store's disk. Raises StoreError."""
        self._waiting.append(letter)
        if self._next is None:
            self._next = asyncio.create_task(self._keep_waiting())
        await asyncio.shield(self._next)  # whoever waits may go, the others do not

    async def _keep_waiting(self) -> None:
        async with self._turn:
            letters, self._waiting, self._next = self._waiting, [], None
            await asyncio.to_thread(self._letters.keep_on_disk, letters)
