"""Prices of genai-prices as rows of `llm_prices` and `llm_models`.

Nothing of the price model is rebuilt here: each unit price is what genai_prices itself charges for
one token of that kind, so its fall-backs (a cache read without a price costs as plain input) hold.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata, resources
from itertools import pairwise

from genai_prices import Usage
from genai_prices.data_snapshot import DataSnapshot, get_snapshot
from genai_prices.types import (
    ClauseEquals,
    ClauseOr,
    ClauseStartsWith,
    MatchLogic,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    TieredPrices,
)

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
END = datetime(2106, 1, 1, tzinfo=UTC)
STANDARD = ""
# Who makes the models that others resell: where a bare model name leads when genai-prices cannot tell.
MAKERS = frozenset({"openai", "anthropic", "google", "mistral", "cohere", "deepseek", "x-ai", "voyageai", "moonshotai"})


@dataclass(frozen=True)
class Price:
    """One row of `llm_prices`: USD for a million tokens, a list element for each prompt-size tier."""

    price_id: str
    tier: str
    valid_from: datetime
    valid_to: datetime
    prompt_sizes: tuple[int, ...]
    input: tuple[float, ...]
    cache_read: tuple[float, ...]
    cache_write: tuple[float, ...]
    output: tuple[float, ...]
    per_request: float
    version: str


@dataclass(frozen=True)
class Model:
    """One row of `llm_models`: what a provider calls a model, and which price that is."""

    provider: str
    model: str
    price_id: str


def version() -> str:
    return f"genai-prices {metadata.version('genai-prices')}"


def prices() -> Iterator[Price]:
    for provider in get_snapshot().providers:
        for model in provider.models:
            yield from _model_prices(f"{provider.id}/{model.id}", model)


def models() -> Iterator[Model]:
    """Every name that genai-prices spells out, for the provider and, where it is clear, without one."""
    snapshot = get_snapshot()
    by_id = {provider.id: provider for provider in snapshot.providers}
    names = {provider.id: _provider_names(provider, by_id) for provider in snapshot.providers}
    for otel_name, provider in _otel_providers(by_id):
        for name in sorted(names[provider.id]):
            if model := provider.find_model(name, all_providers=snapshot.providers):
                yield Model(otel_name, name, _price_id(model, provider, snapshot.providers))
    for name in sorted(set().union(*names.values())):
        if found := _without_provider(name, snapshot):
            provider, model = found
            yield Model("", name, _price_id(model, provider, snapshot.providers))


def _without_provider(name: str, snapshot: DataSnapshot) -> tuple[Provider, ModelInfo] | None:
    try:
        return snapshot.find_provider_model(name, None, None, None)
    except LookupError:
        makers = (provider for provider in snapshot.providers if provider.id in MAKERS)
        return next(((maker, model) for maker in makers if (model := maker.find_model(name))), None)


def _otel_providers(by_id: dict[str, Provider]) -> Iterator[tuple[str, Provider]]:
    with resources.files("storage").joinpath("data/price_providers.csv").open() as file:
        renamed = [(row["provider"], by_id[row["price_provider"]]) for row in csv.DictReader(file)]
    yield from renamed
    yield from (pair for pair in by_id.items() if pair[0] not in dict(renamed))


def _price_id(model: ModelInfo, provider: Provider, providers: Iterable[Provider]) -> str:
    """A model found through a fall-back provider is priced by its owner."""
    owner = next(p for p in (provider, *providers) if any(m is model for m in p.models))
    return f"{owner.id}/{model.id}"


def _provider_names(provider: Provider, by_id: dict[str, Provider]) -> set[str]:
    sources = [provider, *(by_id[name] for name in provider.fallback_model_providers or () if name in by_id)]
    return {
        name.lower() for source in sources for model in source.models for name in (model.id, *_spelled_out(model.match))
    }


def _spelled_out(clause: MatchLogic) -> Iterator[str]:
    if isinstance(clause, ClauseEquals):
        yield clause.equals
    elif isinstance(clause, ClauseStartsWith):
        yield clause.starts_with
    elif isinstance(clause, ClauseOr):
        for part in clause.or_:
            yield from _spelled_out(part)


def _model_prices(price_id: str, model: ModelInfo) -> Iterator[Price]:
    for start, end in pairwise((BEGINNING, *_change_dates(model), END)):
        standard = model.get_prices(start)
        last = end - timedelta(seconds=1)
        yield _row(price_id, STANDARD, start, last, standard)
        for tier, context in _tiers(model).items():
            price = model.get_prices(start, context)
            if price != standard:
                yield _row(price_id, tier, start, last, price)


def _tiers(model: ModelInfo) -> dict[str, dict[str, str]]:
    """Service tier to the price context that selects it."""
    return {value: {key: value} for variant in model.price_variants or () for key, value in variant.when.items()}


def _change_dates(model: ModelInfo) -> list[datetime]:
    standard = [] if isinstance(model.prices, ModelPrice) else [price.constraint for price in model.prices]
    variants = [variant.constraint for variant in model.price_variants or ()]
    days = {constraint.start_date for constraint in standard + variants if isinstance(constraint, StartDateConstraint)}
    return [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in sorted(days)]


def _row(price_id: str, tier: str, start: datetime, end: datetime, price: ModelPrice) -> Price:
    sizes = _prompt_sizes(price)
    # One token more than the tier's start is the smallest prompt that pays its price.
    prompts = [size + 1 for size in sizes]
    inputs = [_cost(price, input_tokens=prompt) for prompt in prompts]
    fee = _cost(price, input_tokens=0)
    return Price(
        price_id=price_id,
        tier=tier,
        valid_from=start,
        valid_to=end,
        prompt_sizes=(-1, *sizes[1:]),
        input=tuple(_mtok(cost - fee, prompt) for cost, prompt in zip(inputs, prompts, strict=True)),
        cache_read=tuple(_mtok(_cost(price, input_tokens=n, cache_read_tokens=n) - fee, n) for n in prompts),
        cache_write=tuple(_mtok(_cost(price, input_tokens=n, cache_write_tokens=n) - fee, n) for n in prompts),
        output=tuple(
            _mtok(_cost(price, input_tokens=n, output_tokens=1_000_000) - cost, 1_000_000)
            for cost, n in zip(inputs, prompts, strict=True)
        ),
        per_request=fee,
        version=f"{version()} {start:%Y-%m-%d}",
    )


def _prompt_sizes(price: ModelPrice) -> list[int]:
    tiered = [value for value in vars(price).values() if isinstance(value, TieredPrices)]
    return [0, *sorted({tier.start for value in tiered for tier in value.tiers})]


def _cost(price: ModelPrice, **usage: int) -> float:
    return float(price.calc_price(Usage(**usage))["total_price"])


def _mtok(cost: float, tokens: int) -> float:
    return cost * 1_000_000 / tokens
