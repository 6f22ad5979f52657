"""A price of genai-prices as numbers that SQL multiplies: what storage/sql/fragments/cost.sql computes with.

genai-prices charges each unit for what no more special unit covers: plain input for what is neither cached nor audio.
Counts on the wire are inclusive, so each unit's rate here is its price less the rates of the units it is part of, and
the cost is a plain sum of counts times rates. Per-request fees are the rate of a count that is always one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal

from genai_prices.data_units import unit_data
from genai_prices.types import ModelInfo, ModelPrice, PriceContext, TieredPrices, TimeOfDateConstraint

Prices = dict[str, Decimal | TieredPrices]
"""What is charged, by price key of genai-prices."""

CORE = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "output_reasoning_tokens",
    "requests",
)
"""The units that have a column in llm_calls, in the order of cost.sql."""

SECOND = 2**30
"""What a second of the day counts where prices depend on the time of day: more than any prompt has tokens."""


@dataclass(frozen=True)
class Rates:
    """The columns of `llm_prices` that hold a price."""

    prices: dict[str, list[float]]
    steps: list[float]
    units: list[str]
    rates: list[float]


def during_the_day(prices: Mapping[int, Prices]) -> Rates:
    """One day's prices by the second from which on they apply; there is always one for second 0."""
    timed = [
        (second, start, at_size(price, start)) for second, price in sorted(prices.items()) for start in _sizes(price)
    ]
    units = sorted({_UNIT_OF[key] for _, _, step in timed for key in step} - {*CORE})
    weight = SECOND if len(prices) > 1 else 0
    steps = [second * weight + start for second, start, _ in timed]
    rates = [_rates(step) for _, _, step in timed]
    return Rates(
        prices={
            key: [float(step.get(key, 0)) for _, _, step in timed]
            for key in sorted({k for _, _, s in timed for k in s})
        },
        steps=[float(-1 - weight), *map(float, steps[1:])],
        units=units,
        rates=[float(by_unit.get(unit, 0)) for by_unit in rates for unit in (*CORE, *units)],
    )


def prices_of_day(model: ModelInfo, day: datetime, context: PriceContext | None = None) -> dict[int, Prices]:
    """What `model` costs on the UTC day that begins at `day`, for `during_the_day`."""
    found: dict[int, Prices] = {}
    for second in _seconds(model):
        at = datetime.fromtimestamp(day.timestamp() + second, UTC)
        price = charged(model.get_prices(at, context))
        if not found or price != found[max(found)]:
            found[second] = price
    return found


def charged(price: ModelPrice) -> Prices:
    return {key: value for key, value in vars(price).items() if key in _UNIT_OF and value is not None}


def at_size(prices: Prices, size: int) -> dict[str, Decimal]:
    """What is charged for prompts of more than `size` tokens: the price of the last tier that starts there or before."""
    return {key: _of_tier(value, size) for key, value in prices.items()}


def _of_tier(price: Decimal | TieredPrices, size: int) -> Decimal:
    if not isinstance(price, TieredPrices):
        return price
    return next((tier.price for tier in reversed(price.tiers) if tier.start <= size), price.base)


def _sizes(prices: Prices) -> list[int]:
    """Where prompt-size tiers start; -1, below every prompt, is the first."""
    tiered = [price for price in prices.values() if isinstance(price, TieredPrices)]
    return [-1, *sorted({tier.start for price in tiered for tier in price.tiers})]


def _rates(prices: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """USD for one of each unit, by unit."""
    found: dict[str, Decimal] = {}
    # The whole comes before its parts.
    for unit in sorted((_UNIT_OF[key] for key in prices), key=lambda name: len(_DIMENSIONS[name])):
        price = prices[_PRICE_OF[unit]] / unit_data[unit]["per"]
        found[unit] = price - sum(
            (rate for whole, rate in found.items() if _DIMENSIONS[whole] < _DIMENSIONS[unit]), Decimal(0)
        )
    return found


def _seconds(model: ModelInfo) -> list[int]:
    """The seconds of the day at which a price may change."""
    return sorted({0, *(moment.hour * 3600 + moment.minute * 60 + moment.second for moment in _moments(model))})


def _moments(model: ModelInfo) -> Iterator[time]:
    conditional = [] if isinstance(model.prices, ModelPrice) else model.prices
    for priced in (*conditional, *(model.price_variants or ())):
        if isinstance(priced.constraint, TimeOfDateConstraint):
            for moment in (priced.constraint.start_time, priced.constraint.end_time):
                yield datetime.combine(datetime(1970, 1, 2), moment, moment.tzinfo or UTC).astimezone(UTC).time()


_UNIT_OF = {unit["price_key"]: name for name, unit in unit_data.items()}
_PRICE_OF = {name: unit["price_key"] for name, unit in unit_data.items()}
_DIMENSIONS = {name: frozenset(unit["dimensions"].items()) for name, unit in unit_data.items()}
