"""Random draws that the standard library lacks. All take the generator, none keeps state."""

import math
import random
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic, TypeVar

T = TypeVar("T")

# exp(-mean) underflows above about 700; a sum of Poisson variates is Poisson, so larger means are split.
_POISSON_CHUNK = 500.0


def poisson(rng: random.Random, mean: float) -> int:
    """A Poisson count. Takes time proportional to `mean`."""
    count = 0
    while mean > _POISSON_CHUNK:
        count += poisson(rng, _POISSON_CHUNK)
        mean -= _POISSON_CHUNK
    limit = math.exp(-mean)
    product = rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count


@dataclass(frozen=True, slots=True)
class LogNormal:
    """Log-normal by the mean and standard deviation of the logarithm."""

    mu: float
    sigma: float

    @property
    def mean(self) -> float:
        return math.exp(self.mu + self.sigma**2 / 2)

    def draw(self, rng: random.Random) -> float:
        return rng.lognormvariate(self.mu, self.sigma)


class Choice(Generic[T]):
    """A weighted choice. Weights need not sum to one; draws cost one bisection."""

    def __init__(self, items: Sequence[T], weights: Sequence[float]) -> None:
        if len(items) != len(weights) or not items or min(weights) < 0 or sum(weights) <= 0:
            raise ValueError("a choice needs as many weights as items, none negative, not all zero")
        self.items = tuple(items)
        total = sum(weights)
        self.weights = tuple(weight / total for weight in weights)
        self._cumulative = list(accumulate(self.weights))
        self._last = len(items) - 1

    def draw(self, rng: random.Random) -> T:
        return self.items[min(bisect(self._cumulative, rng.random()), self._last)]
