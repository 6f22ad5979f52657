"""When requests come: bursts and silences around a given mean rate."""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from llmhub.traffic.fitted import Arrivals
from llmhub.traffic.sampling import LogNormal, poisson

_LONGEST_STEP = 60.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """`time` is unix seconds; `load` is the intensity at that time relative to the long-run mean."""

    time: float
    load: float


def arrive(
    process: Arrivals, rate: Callable[[float], float], start: float, end: float, rng: random.Random
) -> Iterator[Arrival]:
    """Arrivals in [start, end) in order; `rate` gives the wanted mean in requests a second at a unix time."""
    open_share = process.open_share
    for opened, closed in _open_periods(process, start, end, rng):
        level = rng.gammavariate(process.shape, 1 / process.shape)
        step = min(process.memory / 3, _LONGEST_STEP)
        now = opened
        while now < closed:
            width = min(step, closed - now)
            load = level / open_share
            count = poisson(rng, rate(now + width / 2) * load * width)
            for offset in sorted(rng.random() for _ in range(count)):
                yield Arrival(now + offset * width, load)
            level = _next_level(level, width, process, rng)
            now += width


def _next_level(level: float, width: float, process: Arrivals, rng: random.Random) -> float:
    """The exact transition of the gamma (square-root) process, valid for any step width."""
    kept = math.exp(-width / process.memory)
    if kept > 1 - 1e-9:
        return level
    events = poisson(rng, level * process.shape * kept / (1 - kept))
    return rng.gammavariate(process.shape + events, (1 - kept) / process.shape)


def _open_periods(process: Arrivals, start: float, end: float, rng: random.Random) -> Iterator[tuple[float, float]]:
    if process.open_for is None or process.closed_for is None:
        yield start, end
        return
    is_open = rng.random() < process.open_share
    # The first period is already under way: only a part of it is left.
    now = start
    left = _length(process.open_for if is_open else process.closed_for, rng) * rng.random()
    while now < end:
        if is_open:
            yield now, min(now + left, end)
        now += left
        is_open = not is_open
        left = _length(process.open_for if is_open else process.closed_for, rng)


def _length(period: LogNormal, rng: random.Random) -> float:
    return max(period.draw(rng), 0.1)
