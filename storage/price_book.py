"""What calls cost: a price list, the overrides and aliases of those who pay, and what models are called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from storage import data
from storage.overrides import Currencies, PriceOverride, PriceSettings, overridden
from storage.prices import Model, Price, PriceList


@dataclass(frozen=True)
class PriceBook:
    """One state of all prices. `resolved` are names that were matched by the list's patterns before."""

    prices_of: PriceList
    settings: PriceSettings
    overrides: tuple[PriceOverride, ...]
    resolved: tuple[tuple[str, str], ...] = ()

    def prices(self) -> Iterator[Price]:
        """Rows of `llm_prices`: those of the list, changed where all tenants have an override, and those of tenants."""
        listed = defaultdict(list)
        for price in self.prices_of.prices():
            listed[price.price_id].append(price)
        changed = self._changed(listed)
        currencies = Currencies(self.settings.exchange_rates)
        for price_id in listed.keys() - changed[""].keys():
            yield from listed[price_id]
        for tenant, by_id in changed.items():
            for price_id in by_id:
                applying = [o for each in {"", tenant} for o in changed[each].get(price_id, ())]
                in_order = sorted(applying, key=self.overrides.index)
                yield from overridden(tenant, price_id, listed.get(price_id, []), in_order, currencies)

    def models(self) -> Iterator[Model]:
        """Rows of `llm_models`. What somebody gave a name or a price to comes before the list."""
        given = {(model.tenant, model.provider, model.model): model for model in self._given()}
        listed = (model for model in self.prices_of.models if ("", model.provider, model.model) not in given)
        yield from listed
        yield from given.values()
        for provider, name in self.resolved:
            if ("", provider, name) not in given and (price_id := self.find(provider, name)):
                yield Model(provider, name, price_id, source="resolved")

    def find(self, provider: str, model: str) -> str:
        """The price id that the list's own patterns find for a name, '' if none. Gateways' vendor/model is taken apart."""
        if price_id := self.prices_of.find(provider, model):
            return price_id
        vendor, slash, rest = model.partition("/")
        return self.find(vendor, rest) if slash else self.prices_of.find("", model)

    def _changed(self, listed: Iterable[str]) -> dict[str, dict[str, list[PriceOverride]]]:
        """Overrides by tenant and price id."""
        found: dict[str, dict[str, list[PriceOverride]]] = {"": {}}
        for override in self.overrides:
            for price_id in self._ids(override, listed):
                found.setdefault(override.tenant, {}).setdefault(price_id, []).append(override)
        return found

    def is_idle(self, override: PriceOverride) -> bool:
        """Whether it changes the price of no model."""
        if override.charges():
            return False
        ids = self._ids(override, {price.price_id for price in self.prices_of.prices()})
        return not ids or (bool(override.model) and not self.prices_of.find(override.provider, override.model))

    def problems(self) -> Iterator[str]:
        """What of the settings has no effect, and what to do."""
        for override in self.overrides:
            if self.is_idle(override):
                yield (
                    f"the override of {override.provider} {override.model} changes nothing, because no price list has it: "
                    "correct storage.prices.overrides, or give its input and output"
                )
        for model in self._given():
            if not model.price_id:
                yield f"storage.prices.aliases: no price list has the price of {model.model}: correct its price"

    def _ids(self, override: PriceOverride, listed: Iterable[str]) -> list[str]:
        if override.model:
            return [self._own_id(override.provider, override.model)]
        provider = self.prices_of.provider(override.provider)
        name = provider.id if provider else override.provider
        return [each for each in listed if (each.rpartition("@")[2] if "@" in each else each.partition("/")[0]) == name]

    def _own_id(self, provider: str, model: str) -> str:
        """What an override of a model applies to; a model that no list has gets an id of its own."""
        return self.prices_of.find(provider, model) or f"{provider}/{model}".lower()

    def _given(self) -> Iterator[Model]:
        for alias in self.settings.aliases:
            price_id = self.find(*alias.price.split("/", 1)) if "/" in alias.price else self.find("", alias.price)
            yield Model(_canonical(alias.provider), alias.model.lower(), price_id, alias.tenant, "alias")
        for override in self.overrides:
            if override.model and not self.prices_of.find(override.provider, override.model):
                price_id = self._own_id(override.provider, override.model)
                yield Model(_canonical(override.provider), override.model.lower(), price_id, source="override")


@cache
def _canonical_names() -> dict[str, str]:
    return {row["name"]: row["provider"] for row in data.rows("providers")}


def _canonical(provider: str) -> str:
    """gen_ai.provider.name as llm_calls has it."""
    return _canonical_names().get(provider.lower(), provider.lower())
