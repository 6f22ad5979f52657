"""Requests that are sent again: recognised by a hash, acknowledged without a second insert."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice

import xxhash

from collector.signals import Signal
from collector.writer import Acknowledgement, Outcome

_GENERATIONS = 4
_STORED = Acknowledgement()


def digest_of(signal: Signal, tenant: str, body: bytes) -> bytes:
    """16 bytes, XXH3-128. The tenant is part of it: whoever makes a collision hides his own data only."""
    name = tenant.encode()
    return xxhash.xxh3_128_digest(b"%s %d %s" % (signal.encode(), len(name), name) + body)


@dataclass
class _Generation:
    started: float
    digests: set[bytes] = field(default_factory=set)
    partial: dict[bytes, Acknowledgement] = field(default_factory=dict)


class RecentRequests:
    """What was accepted within the last `window_seconds`, and what is under way. Not thread-safe.

    Above `max_requests`, about 100 MB a million, the oldest are forgotten early: see `window_seconds`.
    """

    def __init__(self, window_seconds: float, max_requests: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._window = window_seconds
        self._max_requests = max_requests
        self._room = max(max_requests // _GENERATIONS, 1)  # of a generation
        self._clock = clock
        self._under_way: dict[bytes, asyncio.Future[Outcome]] = {}
        self._generations: deque[_Generation] = deque([_Generation(clock())])

    @property
    def window_seconds(self) -> float:
        """How far back a repeated request is recognised now."""
        return self._clock() - self._generations[0].started

    def find(self, digest: bytes) -> asyncio.Future[Outcome] | Acknowledgement | None:
        """The outcome that the same request had before, the future of it, or None for a new one."""
        if (future := self._under_way.get(digest)) is not None:
            return future
        for generation in self._generations:
            if digest in generation.digests:
                return generation.partial.get(digest, _STORED)
        return None

    def begin(self, digest: bytes, future: asyncio.Future[Outcome]) -> None:
        self._under_way[digest] = future

    def end(self, digest: bytes, outcome: Outcome) -> None:
        """What is refused may be sent again, and is new then."""
        self._under_way.pop(digest, None)
        if isinstance(outcome, Acknowledgement):
            self._turn()
            self._generations[-1].digests.add(digest)
            if outcome.rejected:
                self._generations[-1].partial[digest] = outcome

    def remember(self, digests: Iterable[bytes]) -> None:
        """What was accepted before this process began, the latest last."""
        rest = iter(digests)
        self._turn()
        while some := list(islice(rest, self._room - len(self._generations[-1].digests))):
            self._generations[-1].digests.update(some)
            self._turn()

    def _turn(self) -> None:
        now = self._clock()
        if now - self._generations[-1].started >= self._window / _GENERATIONS:
            self._generations.append(_Generation(now))
        while len(self._generations) > 1 and (
            now - self._generations[1].started >= self._window
            or sum(len(generation.digests) for generation in self._generations) >= self._max_requests
        ):
            self._generations.popleft()
        if len(self._generations[-1].digests) >= self._room:
            self._generations.append(_Generation(now))
