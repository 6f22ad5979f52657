"""What goes wrong in the world, and when: a calendar that depends on the seed only."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from llmhub.traffic.sampling import poisson

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Effects:
    """What an incident does: the first four multiply, the error chances add up."""

    traffic: float = 1.0
    latency: float = 1.0
    input: float = 1.0
    rounds: float = 1.0
    rate_limit: float = 0.0
    server_error: float = 0.0
    timeout: float = 0.0

    def combined(self, other: "Effects") -> "Effects":
        return Effects(
            self.traffic * other.traffic,
            self.latency * other.latency,
            self.input * other.input,
            self.rounds * other.rounds,
            self.rate_limit + other.rate_limit,
            self.server_error + other.server_error,
            self.timeout + other.timeout,
        )


NORMAL = Effects()


@dataclass(frozen=True, slots=True)
class IncidentKind:
    """`scope` is provider or service; `minutes` the shortest and longest duration."""

    name: str
    scope: str
    minutes: tuple[float, ...]
    effects: Effects


@dataclass(frozen=True, slots=True)
class Incident:
    """Something wrong with `target` (a provider or service name) from `start` to `end`, unix seconds."""

    name: str
    target: str
    start: float
    end: float
    effects: Effects


class Incidents:
    """The kinds of incident and how often they come (a mean a day, Poisson)."""

    def __init__(self, per_day: float, kinds: tuple[IncidentKind, ...], targets: Mapping[str, tuple[str, ...]]) -> None:
        if unknown := [kind.scope for kind in kinds if kind.scope not in targets]:
            raise ValueError(f"scope is {unknown[0]!r}, known are {', '.join(targets)}")
        self._per_day = per_day
        self._kinds = kinds
        self._targets = targets

    def calendar(self, seed: int) -> "Calendar":
        return Calendar(self, seed)

    def of_day(self, seed: int, day: int) -> tuple[Incident, ...]:
        """Incidents that begin on the given day after the epoch (UTC)."""
        rng = random.Random(f"incidents:{seed}:{day}")
        count = poisson(rng, self._per_day) if self._kinds else 0
        return tuple(self._draw(rng, day) for _ in range(count))

    def _draw(self, rng: random.Random, day: int) -> Incident:
        kind = rng.choice(self._kinds)
        start = (day + rng.random()) * _DAY_S
        length = rng.uniform(*kind.minutes) * 60
        return Incident(kind.name, rng.choice(self._targets[kind.scope]), start, start + length, kind.effects)


class Calendar:
    """The incidents of one seed. The same instant has the same incidents whatever period is generated."""

    def __init__(self, incidents: Incidents, seed: int) -> None:
        self._incidents = incidents
        self._seed = seed
        self._near = lru_cache(maxsize=8)(self._two_days)

    def between(self, start: float, end: float) -> list[Incident]:
        """Incidents that touch [start, end), by start."""
        days = range(int(start // _DAY_S) - 1, int(end // _DAY_S) + 1)
        every = (incident for day in days for incident in self._incidents.of_day(self._seed, day))
        return sorted((one for one in every if one.start < end and one.end > start), key=lambda one: one.start)

    def effects(self, time: float, *targets: str) -> Effects:
        """What is wrong with any of `targets` at a unix time, combined."""
        total = NORMAL
        for incident in self._near(int(time // _DAY_S)):
            if incident.start <= time < incident.end and incident.target in targets:
                total = total.combined(incident.effects)
        return total

    def _two_days(self, day: int) -> tuple[Incident, ...]:
        # An incident lasts less than a day, so only yesterday's can reach into today.
        return self._incidents.of_day(self._seed, day - 1) + self._incidents.of_day(self._seed, day)
