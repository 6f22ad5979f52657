"""The fitted constants: what benchmarks/fit_traffic.py learnt from real traces, as typed values.

fitted.json is generated; docs/traffic.md says what each number means and how well it fits.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from llmhub.traffic.sampling import Choice, LogNormal


@dataclass(frozen=True, slots=True)
class Arrivals:
    """A gated Cox process of mean rate one.

    While the gate is open, requests are Poisson with an intensity that follows a stationary gamma
    process: mean 1 / open share, shape `shape`, autocorrelation exp(-lag / `memory`). Periods are seconds.
    `open_for` and `closed_for` are None for a service that is never silent.
    """

    shape: float
    memory: float
    open_for: LogNormal | None
    closed_for: LogNormal | None

    @property
    def open_share(self) -> float:
        if self.open_for is None or self.closed_for is None:
            return 1.0
        return self.open_for.mean / (self.open_for.mean + self.closed_for.mean)


@dataclass(frozen=True, slots=True)
class Lengths:
    """A token count: a mixture of log-normals, cut at the smallest and largest count of the trace."""

    components: Choice[LogNormal]
    smallest: int
    largest: int

    def draw(self, rng: random.Random) -> int:
        tokens = round(self.components.draw(rng).draw(rng))
        return min(max(tokens, self.smallest), self.largest)


@dataclass(frozen=True, slots=True)
class Prefixes:
    """How much of a prompt an earlier request has already sent.

    A request continues a session with probability `continues`; the share of its prompt that the
    provider has seen is then drawn from the deciles of the trace, linear in between.
    """

    continues: float
    shared_share: tuple[float, ...]

    def draw_share(self, rng: random.Random) -> float:
        position = rng.random() * (len(self.shared_share) - 1)
        low = int(position)
        return self.shared_share[low] + (position - low) * (self.shared_share[low + 1] - self.shared_share[low])


@dataclass(frozen=True, slots=True)
class Fit:
    """All that was fitted; the keys are the service kinds of the world."""

    arrivals: Mapping[str, Arrivals]
    input_tokens: Mapping[str, Lengths]
    output_tokens: Mapping[str, Lengths]
    prefixes: Prefixes


@cache
def load_fit() -> Fit:
    """The constants shipped with the package."""
    return parse_fit(json.loads(files(__package__).joinpath("fitted.json").read_text("utf-8")))


def parse_fit(data: Mapping[str, Any]) -> Fit:
    return Fit(
        arrivals={kind: _arrivals(value) for kind, value in data["arrivals"].items()},
        input_tokens={kind: _lengths(value["input"]) for kind, value in data["lengths"].items()},
        output_tokens={kind: _lengths(value["output"]) for kind, value in data["lengths"].items()},
        prefixes=Prefixes(data["prefixes"]["continues"], tuple(data["prefixes"]["shared_share_deciles"])),
    )


def _arrivals(data: Mapping[str, Any]) -> Arrivals:
    return Arrivals(data["shape"], data["memory_s"], _log_normal(data["open_s"]), _log_normal(data["closed_s"]))


def _log_normal(data: Mapping[str, float] | None) -> LogNormal | None:
    return LogNormal(data["mu"], data["sigma"]) if data else None


def _lengths(data: Mapping[str, Any]) -> Lengths:
    parts = data["components"]
    mixture = Choice([LogNormal(part["mu"], part["sigma"]) for part in parts], [part["weight"] for part in parts])
    return Lengths(mixture, data["smallest"], data["largest"])
