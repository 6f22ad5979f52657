"""The project's own traffic: traces of the whole world, in order, as export requests."""

import heapq
import random
from collections.abc import Iterator
from datetime import datetime

from llmhub.traffic.arrivals import arrive
from llmhub.traffic.exports import Export, pack
from llmhub.traffic.flows import Flows, Trace, calls_per_request
from llmhub.traffic.incidents import Calendar
from llmhub.traffic.world import Service, World


def generate(
    world: World,
    *,
    start: datetime,
    end: datetime,
    rate: float,
    seed: int,
    max_spans: int = 512,
    max_wait: float = 5.0,
) -> Iterator[Export]:
    """Traffic of requests that begin in [start, end), `rate` model calls a second in the mean of a week.

    The same arguments give the same bytes. Incidents and versions depend on the seed and the time of day
    only, so a backfill and the live traffic that follows it tell one story. `max_wait` (seconds) closes an
    export early: small for live traffic, minutes for a backfill, where large exports are cheaper.
    Raises ValueError when the period is not in time zones or the numbers are not positive.
    """
    if start.tzinfo is None or end.tzinfo is None:
        raise ValueError("start and end need a time zone; pass datetime.now(UTC), not datetime.now()")
    if rate <= 0 or max_spans < 1 or max_wait <= 0:
        raise ValueError(f"rate {rate}, max_spans {max_spans} and max_wait {max_wait} must be positive")
    calendar = world.incidents.calendar(seed)
    total = sum(service.weight for service in world.services)
    sources = [
        _traces(world, service, calendar, start, end, rate * service.weight / total, seed) for service in world.services
    ]
    return pack(heapq.merge(*sources, key=lambda trace: trace.start), max_spans=max_spans, max_wait=max_wait)


def _traces(
    world: World, service: Service, calendar: Calendar, start: datetime, end: datetime, rate: float, seed: int
) -> Iterator[Trace]:
    # With the start in the seed, periods that follow each other do not repeat ids.
    rng = random.Random(f"traffic:{seed}:{service.name}:{start.timestamp()}")
    flows = Flows(world, service, calendar, rng)
    requests = rate / calls_per_request(service)

    def rate_at(time: float) -> float:
        return requests * service.rhythm.factor(time) * calendar.effects(time, service.name).traffic

    for arrival in arrive(world.fit.arrivals[service.arrivals], rate_at, start.timestamp(), end.timestamp(), rng):
        yield flows.trace(arrival)
