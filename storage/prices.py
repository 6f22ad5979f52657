"""Prices of genai-prices as rows of `llm_prices`, and the names it spells out as rows of `llm_models`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from importlib import metadata
from itertools import pairwise
from typing import Any

from genai_prices.data_snapshot import DataSnapshot, find_provider_by_id, get_snapshot
from genai_prices.types import (
    ClauseEquals,
    ClauseOr,
    ClauseStartsWith,
    MatchLogic,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
)

from storage import data, rates

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
END = datetime(2106, 1, 1, tzinfo=UTC)
STANDARD = ""
# Who makes the models that others resell: where a bare model name leads when genai-prices cannot tell.
MAKERS = frozenset({"openai", "anthropic", "google", "mistral", "cohere", "deepseek", "x-ai", "voyageai", "moonshotai"})
# Bedrock's names begin with where a call is served, which has its price; genai-prices has a pattern for them.
BEDROCK = "aws"
REGIONS = ("", "us.", "us-gov.", "eu.", "apac.", "global.", "jp.", "au.", "ca.")
# A short recording is charged as ten seconds, which no sum of counts times rates says.
NOT_LINEAR = frozenset({"groq/whisper-large-v3", "groq/whisper-large-v3-turbo"})


@dataclass(frozen=True)
class Price:
    """One row of `llm_prices`. `days` is what is charged within a day, by the second from which on it applies."""

    tenant: str
    price_id: str
    tier: str
    valid_from: datetime
    valid_to: datetime
    days: dict[int, rates.Prices]
    version: str

    def row(self) -> dict[str, Any]:
        named = {
            name: getattr(self, name) for name in ("tenant", "price_id", "tier", "valid_from", "valid_to", "version")
        }
        return {**named, **asdict(rates.during_the_day(self.days))}


@dataclass(frozen=True)
class Model:
    """One row of `llm_models`: what a provider calls a model, and which price that is."""

    provider: str
    model: str
    price_id: str
    tenant: str = ""
    source: str = "list"


@cache
def bundled() -> PriceList:
    """The prices that came with the installed genai-prices."""
    return PriceList(get_snapshot(), f"genai-prices {metadata.version('genai-prices')}")


class PriceList:
    """Prices and names of one state of genai-prices. `version` is what each price says it is from."""

    def __init__(self, snapshot: DataSnapshot, version: str) -> None:
        self.version = version
        self._snapshot = snapshot
        self._by_id = {provider.id: provider for provider in snapshot.providers}
        renamed = {name: provider for name, provider in _renamed().items() if provider in self._by_id}
        self._otel_names = {**{name: name for name in self._by_id}, **renamed}

    def prices(self) -> Iterator[Price]:
        """Every price. A model that another provider resells has one for that provider, too, without the maker's service tiers."""
        for provider in self._snapshot.providers:
            for model in provider.models:
                yield from self._model_prices(f"{provider.id}/{model.id}", model, _tiers(model))
            for resold in self._resold(provider):
                yield from self._model_prices(self._price_id(provider, resold), resold, {})

    @cached_property
    def models(self) -> tuple[Model, ...]:
        """Every name that genai-prices spells out, for the provider and, where it is clear, without one."""
        return tuple(self._models())

    def _models(self) -> Iterator[Model]:
        names = {provider.id: self._provider_names(provider) for provider in self._snapshot.providers}
        for otel_name, provider_id in self._otel_names.items():
            for name in sorted(names[provider_id]):
                if price_id := self.find(otel_name, name):
                    yield Model(otel_name, name, price_id)
        for name in sorted(set().union(*names.values())):
            if price_id := self.find("", name):
                yield Model("", name, price_id)

    def provider(self, name: str) -> Provider | None:
        """Who gen_ai.provider.name `name` is."""
        return self._by_id.get(self._otel_names.get(name, "")) or find_provider_by_id(self._snapshot.providers, name)

    def find(self, provider: str, model: str) -> str:
        """The price id of what gen_ai.provider.name `provider` calls `model`, by genai-prices' own patterns; '' if none."""
        if not provider:
            return self._without_provider(model)
        known = self.provider(provider)
        found = known.find_model(model, all_providers=self._snapshot.providers) if known else None
        return self._price_id(known, found) if known and found else ""

    def _without_provider(self, name: str) -> str:
        try:
            return self._price_id(*self._snapshot.find_provider_model(name, None, None, None))
        except LookupError:
            makers = (provider for provider in self._snapshot.providers if provider.id in MAKERS)
            return next((self._price_id(maker, model) for maker in makers if (model := maker.find_model(name))), "")

    def _price_id(self, provider: Provider, model: ModelInfo) -> str:
        """A model found through a fall-back provider is priced as its owner's."""
        owner = next(p for p in (provider, *self._snapshot.providers) if any(m is model for m in p.models))
        price_id = f"{owner.id}/{model.id}"
        return price_id if owner is provider else f"{price_id}@{provider.id}"

    def _resold(self, provider: Provider) -> Iterator[ModelInfo]:
        fallbacks = (self._by_id[name] for name in provider.fallback_model_providers or () if name in self._by_id)
        yield from (model for fallback in fallbacks for model in fallback.models)

    def _provider_names(self, provider: Provider) -> set[str]:
        fallbacks = provider.fallback_model_providers or ()
        sources = [provider, *(self._by_id[name] for name in fallbacks if name in self._by_id)]
        names = {
            name.lower()
            for source in sources
            for model in source.models
            for name in (model.id, *_spelled_out(model.match))
        }
        return names | _in_regions(names) if provider.id == BEDROCK else names

    def _model_prices(self, price_id: str, model: ModelInfo, tiers: dict[str, dict[str, str]]) -> Iterator[Price]:
        if price_id not in NOT_LINEAR:
            for tier, context in ((STANDARD, {}), *tiers.items()):
                yield from joined(self._tier_prices(price_id, model, tier, context))

    def _tier_prices(self, price_id: str, model: ModelInfo, tier: str, context: dict[str, str]) -> Iterator[Price]:
        """Without the times at which the tier costs what the standard one does."""
        for start, end in pairwise((BEGINNING, *_change_dates(model), END)):
            price = rates.prices_of_day(model, start, context)
            if tier == STANDARD or price != rates.prices_of_day(model, start):
                since = f"{start:%Y-%m-%d}" if start > BEGINNING else ""
                version = " ".join(filter(None, (self.version, since, tier)))
                yield Price("", price_id, tier, start, end - timedelta(seconds=1), price, version)


def joined(prices: Iterable[Price]) -> Iterator[Price]:
    """Prices of one tier in the order of time, with those made one that follow each other and are the same."""
    last: Price | None = None
    for price in prices:
        if last and last.days == price.days and last.valid_to + timedelta(seconds=1) == price.valid_from:
            last = replace(last, valid_to=price.valid_to)
            continue
        if last:
            yield last
        last = price
    if last:
        yield last


@cache
def _renamed() -> dict[str, str]:
    """gen_ai.provider.name to the provider's id, where they differ."""
    return {row["provider"]: row["price_provider"] for row in data.rows("price_providers")}


def _spelled_out(clause: MatchLogic) -> Iterator[str]:
    if isinstance(clause, ClauseEquals):
        yield clause.equals
    elif isinstance(clause, ClauseStartsWith):
        yield clause.starts_with
    elif isinstance(clause, ClauseOr):
        for part in clause.or_:
            yield from _spelled_out(part)


def _in_regions(names: Iterable[str]) -> set[str]:
    bare = {name.removeprefix("regional.").removeprefix("global.") for name in names}
    return {f"{region}{name}" for region in REGIONS for name in bare}


def _tiers(model: ModelInfo) -> dict[str, dict[str, str]]:
    """Service tier to the price context that selects it."""
    return {value: {key: value} for variant in model.price_variants or () for key, value in variant.when.items()}


def _change_dates(model: ModelInfo) -> list[datetime]:
    standard = [] if isinstance(model.prices, ModelPrice) else [price.constraint for price in model.prices]
    variants = [variant.constraint for variant in model.price_variants or ()]
    days = {constraint.start_date for constraint in standard + variants if isinstance(constraint, StartDateConstraint)}
    return [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in sorted(days)]
