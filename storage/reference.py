"""Reference data: the alias table, provider names and prices, loaded into their tables at start.

A table is loaded again only when the content it comes from has changed; the content's hash is kept
in `llm_reference`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache, partial
from typing import Any

from storage import data
from storage.content import ContentKey, ContentKeys
from storage.mapping import MappingSettings
from storage.overrides import Currencies, PriceSettings
from storage.price_book import PriceBook
from storage.price_store import open_book, state
from storage.statement import quote_name
from storage.store import Store

log = logging.getLogger(__name__)

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Reference:
    """One table of reference data, the dictionary over it, and where its rows come from."""

    table: str
    dictionary: str
    version: Callable[[], str]
    rows: Callable[[], Iterable[Row]]


def load(
    store: Store,
    price_settings: PriceSettings | None = None,
    mapping: MappingSettings | None = None,
    content_keys: Iterable[ContentKey] = (),
) -> list[str]:
    """Bring every reference table up to date. Returns the names of the tables that were loaded. Raises StoreError,
    PriceError."""
    keys = ContentKeys(content_keys)
    own = Reference("llm_content_keys", "llm_content_key", lambda: keys.version, keys.rows)
    mapped = load_references(store, [*_mapping_references(mapping or MappingSettings()), own, *REFERENCES])
    return mapped + load_prices(store, price_settings or PriceSettings())


def _mapping_references(mapping: MappingSettings) -> Iterator[Reference]:
    for table, dictionary, file, rows in (
        ("llm_aliases", "llm_alias", "aliases", mapping.alias_rows),
        ("llm_operations", "llm_operation", "operations", mapping.operation_rows),
        ("llm_providers", "llm_provider", "providers", mapping.provider_rows),
    ):
        yield Reference(table, dictionary, partial("{} {}".format, data.checksum(file), mapping.version), rows)


def load_prices(store: Store, settings: PriceSettings) -> list[str]:
    """`load` for the prices alone; cheap where nothing has changed."""
    version = f"{state(store, settings)} {data.checksum('price_providers')}"

    @cache
    def book() -> PriceBook:
        found = open_book(store, settings)
        for problem in found.problems():
            log.warning(problem)
        return found

    rates = Currencies(settings.exchange_rates)
    # Prices first: a model that leads to a price that is not there yet would have none.
    references = (
        Reference("llm_exchange_rates", "llm_exchange_rate", lambda: version, lambda: rates.rows()),
        Reference("llm_prices", "llm_price", lambda: version, lambda: (price.row() for price in book().prices())),
        Reference("llm_models", "llm_model", lambda: version, lambda: map(asdict, book().models())),
    )
    return load_references(store, references)


def load_references(store: Store, references: Iterable[Reference]) -> list[str]:
    """Those of `references` whose content has changed. Returns the names of their tables. Raises StoreError."""
    known = {row["name"]: row["version"] for row in store.rows("SELECT name, version FROM llm_reference FINAL")}
    stale = [reference for reference in references if known.get(reference.table) != reference.version()]
    for reference in stale:
        _replace(store, reference)
    return [reference.table for reference in stale]


def _replace(store: Store, reference: Reference) -> None:
    rows = [*reference.rows()]
    store.execute(f"TRUNCATE TABLE {reference.table}")
    store.insert(reference.table, _json_lines(rows), fmt="JSONEachRow")
    store.execute(f"SYSTEM RELOAD DICTIONARY {quote_name(store.database)}.{quote_name(reference.dictionary)}")
    store.insert(
        "llm_reference", _json_lines([{"name": reference.table, "version": reference.version()}]), fmt="JSONEachRow"
    )


def _json_lines(rows: Iterable[Row]) -> bytes:
    return "\n".join(json.dumps(row, default=_encode) for row in rows).encode()


def _encode(value: object) -> int:
    if isinstance(value, datetime):
        return int(value.timestamp())  # a text would be read in the time zone of the machine
    raise TypeError(f"{type(value).__name__} is no reference value")


def _event_attributes() -> Iterator[Row]:
    """The order of the file is the order of preference."""
    for priority, row in enumerate(data.rows("event_attributes")):
        yield {**row, "priority": priority}


def _of_file(table: str, dictionary: str, file: str, rows: Callable[[], Iterable[Row]] | None = None) -> Reference:
    """A table that depends on a file alone; `rows` where they are not those of the file."""
    return Reference(table, dictionary, partial(data.checksum, file), rows or partial(data.rows, file))


REFERENCES = (
    _of_file("llm_log_operations", "llm_log_operation", "log_operations"),
    _of_file("llm_event_names", "llm_event_name", "events"),
    _of_file("llm_event_attributes", "llm_event_attribute", "event_attributes", _event_attributes),
    _of_file("llm_event_values", "llm_event_value", "event_values"),
)
