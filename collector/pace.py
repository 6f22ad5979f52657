"""When the next insert should begin: an insert has a fixed cost, and fewer and larger ones leave more of the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import inf


class Pace:
    """An insert is followed by a pause as long as it took, so that inserts fill half of the time while there is no hurry.
    Times are on the clock of the running event loop."""

    def __init__(self) -> None:
        self.rest_until = 0.0
        """When the pause ends; infinite while an insert is under way."""
        self._inserts = 0
        self._changed = asyncio.Event()

    @property
    def is_resting(self) -> bool:
        return _now() < self.rest_until

    @contextmanager
    def insert(self) -> Iterator[None]:
        """Around an insert."""
        self._inserts += 1
        self.rest_until = inf
        started = _now()
        try:
            yield
        finally:
            self._inserts -= 1
            if not self._inserts:
                self.rest_until = 2 * _now() - started
                self.look()

    async def rest(self, latest: float, enough: Callable[[], bool]) -> None:
        """Wait for the end of the pause, but not beyond `latest`, nor when there is `enough`; who makes it so calls `look`."""
        while not enough() and (until := min(self.rest_until, latest)) > _now():
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), until - _now())

    def look(self) -> None:
        self._changed.set()


def _now() -> float:
    return asyncio.get_running_loop().time()
