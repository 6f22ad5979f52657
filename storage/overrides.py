"""What somebody pays instead of the list price: negotiated rates with dates, in any currency, for one tenant or all.

One override applies to a call, the most special one: that of a tenant before that of all, of a model before that of a
provider, of a service tier before that of any, the later before the earlier. What it does not name keeps the list price,
less the discount.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise

from genai_prices.data_units import unit_data
from genai_prices.types import Tier, TieredPrices

from storage import rates
from storage.prices import BEGINNING, END, STANDARD, Price, joined

_NAMED = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
}
_PRICE_KEYS = frozenset(unit["price_key"] for unit in unit_data.values())
_CURRENCY = re.compile(r"[A-Z]{3}\Z")
ALL_TIERS = ""
FIRST_DAY = BEGINNING.date()
LAST_DAY = date(END.year - 1, 12, 31)


@dataclass(frozen=True)
class ExchangeRate:
    """What one unit of a currency is worth in USD from a day on, until the next day that has a rate."""

    currency: str
    usd: float
    valid_from: date = FIRST_DAY

    def __post_init__(self) -> None:
        _check_currency(self.currency)
        if not 0 < self.usd < math.inf:
            raise ValueError(f"usd must be more than 0: what one {self.currency} is worth in USD")


@dataclass(frozen=True)
class PriceOverride:
    """One negotiated rate. Prices are for a million tokens; `prices` has those of other units by price key of genai-prices.

    Days are UTC, the last one included. `model` '' is every model of the provider. `tier` '' gives the discount on every
    service tier and sets prices of the standard one. Raises ValueError for what makes no sense.
    """

    provider: str
    model: str = ""
    tenant: str = ""
    tier: str = ALL_TIERS
    valid_from: date = FIRST_DAY
    valid_to: date = LAST_DAY
    currency: str = "USD"
    discount: float = 0.0
    input: float | None = None
    output: float | None = None
    cache_read: float | None = None
    cache_write: float | None = None
    cache_write_1h: float | None = None
    prices: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_currency(self.currency)
        if not self.provider:
            raise ValueError("provider is missing: give gen_ai.provider.name as llm_calls.provider has it")
        if self.valid_to < self.valid_from:
            raise ValueError(f"valid_to {self.valid_to} is before valid_from {self.valid_from}")
        if not 0 <= self.discount <= 1:
            raise ValueError(f"discount must be from 0 to 1, such as 0.15 for 15 %, not {self.discount:g}")
        if unknown := sorted(self.charges().keys() - _PRICE_KEYS):
            near = difflib.get_close_matches(unknown[0], sorted(_PRICE_KEYS), n=3, cutoff=0.4)
            raise ValueError(
                f"prices has no {unknown[0]}; did you mean {' or '.join(near or ['web_searches_kcount'])}?"
            )
        if wrong := [key for key, price in self.charges().items() if not 0 <= price < math.inf]:
            raise ValueError(f"{wrong[0]} must be 0 or more")
        if not self.charges() and not self.discount:
            raise ValueError("nothing is overridden: give a discount, or prices such as input and output")
        if self.charges() and not self.model:
            raise ValueError("prices need a model; without one only a discount can be given")

    @property
    def id(self) -> str:
        """Says which override a call was priced with; the same for the same content."""
        return hashlib.sha256(self.document().encode()).hexdigest()[:8]

    def document(self) -> str:
        """JSON, without what is not given."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return json.dumps({name: value for name, value in given.items() if value != _DEFAULTS.get(name)}, default=str)

    def charges(self) -> dict[str, float]:
        """What it sets, by price key, in its currency."""
        named = {key: getattr(self, name) for name, key in _NAMED.items()}
        return {key: price for key, price in {**self.prices, **named}.items() if price is not None}

    def starts(self) -> datetime:
        return _midnight(self.valid_from)

    def ends(self) -> datetime:
        return min(_midnight(self.valid_to) + timedelta(days=1), END)

    def holds(self, tier: str, at: datetime) -> bool:
        any_tier = self.tier == ALL_TIERS and (tier == STANDARD or self.discount > 0)
        return (any_tier or self.tier == (tier or "standard")) and self.starts() <= at < self.ends()

    def specificity(self) -> tuple[bool, bool, bool]:
        return bool(self.tenant), bool(self.model), bool(self.tier)


_DEFAULTS: dict[str, object] = {
    each.name: {} if each.name == "prices" else each.default for each in fields(PriceOverride)
}


@dataclass(frozen=True)
class ModelAlias:
    """A name that only its users understand, such as an Azure deployment, and the price that it has."""

    provider: str
    model: str
    price: str
    tenant: str = ""


@dataclass(frozen=True)
class PriceSettings:
    """`resolve_seconds`: pause between two looks for calls without a price; 0: none. The rest is what lists do not know."""

    resolve_seconds: float = 30.0
    overrides: tuple[PriceOverride, ...] = ()
    aliases: tuple[ModelAlias, ...] = ()
    exchange_rates: tuple[ExchangeRate, ...] = ()

    def __post_init__(self) -> None:
        for override in self.overrides:
            check_currency(override, self.exchange_rates)


class Currencies:
    """USD for one unit of a currency, by day."""

    def __init__(self, exchange_rates: Iterable[ExchangeRate]) -> None:
        self._rates: dict[str, list[ExchangeRate]] = {}
        for each in sorted(exchange_rates, key=lambda rate: rate.valid_from):
            self._rates.setdefault(each.currency, []).append(each)

    def changes(self, currency: str) -> list[datetime]:
        return [_midnight(rate.valid_from) for rate in self._rates.get(currency, [])]

    def usd(self, currency: str, at: datetime) -> float:
        """The first rate of a currency also holds before its day."""
        if currency == "USD":
            return 1.0
        known = self._rates[currency]
        return next((rate.usd for rate in reversed(known) if _midnight(rate.valid_from) <= at), known[0].usd)

    def rows(self) -> Iterator[dict[str, object]]:
        """Rows of `llm_exchange_rates`."""
        yield {"currency": "USD", "valid_from": BEGINNING, "valid_to": END, "usd": 1.0}
        for currency, known in self._rates.items():
            times = [BEGINNING, *self.changes(currency)[1:], END]
            for rate, (start, end) in zip(known, pairwise(times), strict=True):
                yield {
                    "currency": currency,
                    "valid_from": start,
                    "valid_to": end - timedelta(seconds=1),
                    "usd": rate.usd,
                }


def check_currency(override: PriceOverride, exchange_rates: Iterable[ExchangeRate]) -> None:
    """Raises ValueError when nobody says what the override's currency is worth."""
    if override.currency not in {"USD", *(rate.currency for rate in exchange_rates)}:
        raise ValueError(
            f"the override of {override.model or override.provider} is in {override.currency}, whose value is unknown: "
            f"add it to storage.prices.exchange_rates, such as {{currency: {override.currency}, usd: 1.1}}"
        )


def overridden(
    tenant: str,
    price_id: str,
    listed: Sequence[Price],
    overrides: Sequence[PriceOverride],
    currencies: Currencies,
) -> Iterator[Price]:
    """All prices that `tenant` has for one model, every tier of it, with `overrides`, earlier ones first."""
    tiers = (
        {STANDARD}
        | {price.tier for price in listed}
        | {o.tier for o in overrides if o.tier not in (ALL_TIERS, "standard")}
    )
    for tier in sorted(tiers):
        segments = (
            _segment(tenant, price_id, tier, during, listed, overrides, currencies)
            for during in pairwise(_changes(listed, overrides, currencies))
        )
        yield from joined(segment for segment in segments if segment)


def _segment(
    tenant: str,
    price_id: str,
    tier: str,
    during: tuple[datetime, datetime],
    listed: Sequence[Price],
    overrides: Sequence[PriceOverride],
    currencies: Currencies,
) -> Price | None:
    """The price while nothing changes; None where there is none, or where the tier costs what the standard one does."""
    start, end = during
    base = _price_at(listed, tier, start)
    # Of equals, max() takes the first.
    holding = (override for override in reversed(overrides) if override.holds(tier, start))
    override = max(holding, key=PriceOverride.specificity, default=None)
    charged = override is not None and bool(override.charges())
    if base is None and not charged:
        return None
    if tier != STANDARD and not (base and base.tier == tier) and not (override and override.tier == tier):
        return None
    days: dict[int, rates.Prices] = base.days if base else {0: {}}
    version = base.version if base else "no list price"
    if override:
        days = {second: _apply(override, tier, prices, currencies, start) for second, prices in days.items()}
        version = f"{version} + override {override.id}"
    return Price(tenant, price_id, tier, start, end - timedelta(seconds=1), days, version)


def _changes(listed: Sequence[Price], overrides: Sequence[PriceOverride], currencies: Currencies) -> list[datetime]:
    """Every instant at which a price may change, with the beginning and the end of time."""
    found = {BEGINNING, END, *(price.valid_from for price in listed)}
    for override in overrides:
        found |= {override.starts(), override.ends(), *currencies.changes(override.currency)}
    return sorted(found)


def _price_at(listed: Sequence[Price], tier: str, at: datetime) -> Price | None:
    """A tier without a price of its own has the standard one."""
    holding = [price for price in listed if price.tier in (tier, STANDARD) and price.valid_from <= at <= price.valid_to]
    return max(holding, key=lambda price: price.tier == tier, default=None)


def _apply(
    override: PriceOverride, tier: str, prices: rates.Prices, currencies: Currencies, at: datetime
) -> rates.Prices:
    usd = Decimal(str(currencies.usd(override.currency, at)))
    kept = {key: _less(price, 1 - Decimal(str(override.discount))) for key, price in prices.items()}
    sets = override.charges() if override.tier != ALL_TIERS or tier == STANDARD else {}
    return {**kept, **{key: Decimal(str(price)) * usd for key, price in sets.items()}}


def _less(price: Decimal | TieredPrices, factor: Decimal) -> Decimal | TieredPrices:
    if isinstance(price, TieredPrices):
        return TieredPrices(
            base=price.base * factor, tiers=[Tier(tier.start, tier.price * factor) for tier in price.tiers]
        )
    return price * factor


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _check_currency(currency: str) -> None:
    if not _CURRENCY.match(currency):
        raise ValueError(f"currency must be three capital letters such as EUR (ISO 4217), not {currency!r}")
