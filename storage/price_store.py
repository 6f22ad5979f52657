"""Price lists and overrides that outlast the process: rows of the store.

Prices are those of the installed genai-prices until a newer list is fetched; a newer genai-prices takes over again. Every
hub on the store and every restart sees the same.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata

from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import _providers_from_raw
from pydantic import TypeAdapter, ValidationError

from storage import prices
from storage.overrides import PriceOverride, PriceSettings, check_currency
from storage.price_book import PriceBook
from storage.prices import PriceList
from storage.store import Store

PACKAGE = f"genai-prices {metadata.version('genai-prices')}"
_NEWEST = (
    "SELECT fetched_at, document FROM llm_price_lists WHERE package = {package:String} ORDER BY fetched_at DESC LIMIT 1"
)
_OVERRIDES = "SELECT id, document FROM llm_price_overrides FINAL WHERE NOT removed ORDER BY added_at, id"
_STATE = "SELECT (SELECT max(fetched_at) FROM llm_price_lists) AS fetched, (SELECT groupArray(id) FROM (SELECT id FROM llm_price_overrides FINAL WHERE NOT removed ORDER BY id)) AS overrides"


class PriceError(Exception):
    """A price list or override cannot be used; str() says what to do."""


def state(store: Store, settings: PriceSettings) -> str:
    """Changes whenever the book would. Cheap."""
    (row,) = store.rows(_STATE)
    return hashlib.sha256(json.dumps([PACKAGE, row, asdict(settings)], default=str).encode()).hexdigest()


def open_book(store: Store, settings: PriceSettings) -> PriceBook:
    """The store's book. Raises StoreError, PriceError."""
    added = tuple(parse_override(row["document"]) for row in store.rows(_OVERRIDES))
    resolved = store.rows("SELECT DISTINCT provider, model FROM llm_models WHERE source = 'resolved' ORDER BY ALL")
    names = tuple((row["provider"], row["model"]) for row in resolved)
    return PriceBook(_price_list(store), settings, (*settings.overrides, *added), names)


def _price_list(store: Store) -> PriceList:
    """The newest list that was fetched with this version of genai-prices, which may be newer than any fetched before."""
    rows = store.rows(_NEWEST, params={"package": PACKAGE})
    if not rows:
        return prices.bundled()
    return parse_list(rows[0]["document"], f"{PACKAGE} of {rows[0]['fetched_at'][:19]}")


@lru_cache(maxsize=2)
def parse_list(document: str, version: str) -> PriceList:
    """Raises PriceError unless `document` is a list in the format of genai-prices' data.json."""
    try:
        providers = _providers_from_raw(json.loads(document))
        found = PriceList(DataSnapshot(providers, from_auto_update=True), version)
        if not any(price.days for price in found.prices()):
            raise ValueError("it has no prices")
    except (ValueError, TypeError, LookupError, AttributeError, AssertionError) as error:
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise PriceError(f"this is no price list of {PACKAGE}: {line}; give the data.json of genai-prices") from error
    return found


def store_list(store: Store, document: str, source: str) -> PriceList:
    """Keep a fetched list, from now on the one that prices are from. Raises PriceError, StoreError."""
    found = parse_list(document, PACKAGE)
    row = {
        "fetched_at": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}",
        "source": source,
        "package": PACKAGE,
        "document": document,
    }
    store.insert("llm_price_lists", json.dumps(row).encode(), fmt="JSONEachRow")
    return found


def parse_override(document: str) -> PriceOverride:
    """Raises PriceError."""
    try:
        return TypeAdapter(PriceOverride).validate_json(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise PriceError(f"{where}: {first['msg']}" if where else first["msg"].removeprefix("Value error, ")) from None


def add_override(store: Store, settings: PriceSettings, override: PriceOverride) -> None:
    """Keep an override that makes sense with this store's list and the configured currencies. Raises PriceError."""
    try:
        check_currency(override, settings.exchange_rates)
    except ValueError as error:
        raise PriceError(str(error)) from None
    if open_book(store, settings).is_idle(override):
        raise PriceError(
            f"the price list has no {' '.join(filter(None, (override.provider, override.model)))}: `llmhub prices list` shows "
            "what it has; a model that it lacks needs --input and --output"
        )
    _write_override(store, override, removed=False)


def remove_override(store: Store, override_id: str) -> None:
    """Raises PriceError when no command added it."""
    rows = store.rows(f"SELECT * FROM ({_OVERRIDES}) WHERE id = {{id:String}}", params={"id": override_id})
    if not rows:
        raise PriceError(
            f"no override {override_id} was added by a command: `llmhub prices list --overrides` shows them; "
            "those of the configuration are removed there"
        )
    _write_override(store, parse_override(rows[0]["document"]), removed=True)


def _write_override(store: Store, override: PriceOverride, *, removed: bool) -> None:
    row = {"id": override.id, "document": override.document(), "removed": removed}
    store.insert("llm_price_overrides", json.dumps(row).encode(), fmt="JSONEachRow")
