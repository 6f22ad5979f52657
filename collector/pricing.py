"""Calls of models that no price was known for: their names are resolved, and their cost is filled in later.

ClickHouse looks up names that the price list spells out. What only the list's patterns match, genai-prices resolves here, once a
name; the result goes into `llm_models`, where the next call finds it. Of the calls that came before, those that have a price by
now get their cost, and `llm_calls_1m` what it lacked.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any

from collector.metrics import CollectorMetrics
from storage import reference
from storage.overrides import PriceSettings
from storage.price_book import PriceBook
from storage.price_store import (
    PriceError,
    add_override,
    open_book,
    parse_override,
    remove_override,
    state,
    store_list,
)
from storage.prices import Model
from storage.sql import statement
from storage.statement import quote_name
from storage.store import Store

log = logging.getLogger(__name__)

BATCH_CALLS = 500_000
"""Calls that are priced at a time."""

MOST_NAMES = 10_000
"""New names that one run looks at, those of most calls; the others get their turn when they are called again."""


@dataclass(frozen=True)
class PricingReport:
    """What one run did: names that lead to a price now, calls that have a cost now, its time."""

    resolved: int
    calls: int
    seconds: float


class Pricing:
    """Brings the prices of one store up to date. Blocking, thread-safe; one hub a store may run it at a time.

    Each step can be done again without harm, and what was interrupted is finished before anything else begins: its number is
    in `llm_call_pricings` and not yet in `llm_pricings`. `alone` is held meanwhile: nothing else may correct calls.
    """

    def __init__(
        self,
        store: Store,
        settings: PriceSettings,
        alone: AbstractContextManager[Any] | None = None,
        *,
        batch_calls: int = BATCH_CALLS,
    ) -> None:
        self._store = store
        self._settings = settings
        self._alone = alone or threading.Lock()
        self._batch = batch_calls
        self._book: PriceBook | None = None
        self._book_state = ""
        self._hopeless: set[tuple[str, str]] = set()

    @property
    def unresolved(self) -> int:
        """Names that calls had and no price is known for, as far as this process has seen them."""
        return len(self._hopeless)

    def finish(self) -> None:
        """What an interrupted run left. Raises StoreError."""
        with self._alone:
            row = self._state()
            _Run(self._store, row["run"] + 1, row["block"], row["prices"]).finish()

    def run_once(self) -> PricingReport:
        """Load what changed, resolve new names and price what can be priced by now. Raises StoreError, PriceError."""
        started = time.perf_counter()
        with self._alone:
            reference.load_prices(self._store, self._settings)
            row = self._state()
            run = _Run(self._store, row["run"] + 1, row["block"], row["prices"])
            run.finish()
            if row["sweeping"]:
                raise PriceError("an interrupted sweep comes first: it runs unless sweep.interval_seconds is 0")
            now = state(self._store, self._settings)
            since = row["block"] if row["prices"] == now else 0
            resolved = 0
            if row["newest"] > since:
                resolved = self._resolve(now, since)
                while run.note(since, self._batch):
                    run.finish()
                run.record(row["newest"], now, 0)
        return PricingReport(resolved, run.calls, time.perf_counter() - started)

    def override(self, document: str) -> PricingReport:
        """Add an override, given as JSON, and price with it. Raises StoreError, PriceError."""
        add_override(self._store, self._settings, parse_override(document))
        return self._run_to_disk()

    def remove_override(self, override_id: str) -> PricingReport:
        """Remove an override that was added. Raises StoreError, PriceError."""
        remove_override(self._store, override_id)
        return self._run_to_disk()

    def refresh(self, document: str, source: str) -> PricingReport:
        """Take over another price list, the text of genai-prices' data.json. Raises StoreError, PriceError."""
        store_list(self._store, document, source)
        return self._run_to_disk()

    def _run_to_disk(self) -> PricingReport:
        """What an operator has set survives a loss of power."""
        report = self.run_once()
        self._store.flush()
        return report

    def _state(self) -> dict[str, Any]:
        (row,) = self._store.rows(statement("pricing/state"))
        return row

    def _resolve(self, now: str, since: int) -> int:
        """Write down what new names mean; returns how many mean something."""
        names = self._store.rows(statement("pricing/names"), params={"since": str(since), "limit": str(MOST_NAMES)})
        if now != self._book_state:
            self._book, self._book_state = open_book(self._store, self._settings), now
            self._hopeless.clear()
        found = [*self._find((row["provider"], row["name"]) for row in names)]
        if found:
            rows = "\n".join(json.dumps(asdict(model)) for model in found)
            self._store.insert("llm_models", rows.encode(), fmt="JSONEachRow")
            self._store.execute(f"SYSTEM RELOAD DICTIONARY {quote_name(self._store.database)}.llm_model")
        return len(found)

    def _find(self, names: Iterable[tuple[str, str]]) -> Iterable[Model]:
        assert self._book is not None
        for provider, name in names:
            if (provider, name) in self._hopeless:
                continue
            if price_id := self._book.find(provider, name):
                yield Model(provider, name, price_id, source="resolved")
            else:
                self._hopeless.add((provider, name))


class _Run:
    """The steps of one run. It has a number for each batch of calls, and one for its end."""

    def __init__(self, store: Store, number: int, block: int, prices: str) -> None:
        self._store = store
        self._number = number
        self._block = block
        self._prices = prices
        self.calls = 0

    def note(self, since: int, batch: int) -> int:
        """Note calls inserted after `since` that have no cost and could have; returns how many."""
        self._execute("note", since=since, batch=batch)
        return self._noted()

    def finish(self) -> None:
        """Price what is noted."""
        if calls := self._noted():
            for step in ("update", "correct"):
                self._execute(step)
            self.record(self._block, self._prices, calls)
            self.calls += calls

    def record(self, block: int, prices: str, calls: int) -> None:
        """This run is finished; everything up to the insert `block` was looked at with `prices`."""
        self._execute("record", block=block, prices=prices, calls=calls)
        self._number += 1

    def _noted(self) -> int:
        (row,) = self._store.rows(statement("pricing/found"), params={"run": str(self._number)})
        return int(row["calls"])

    def _execute(self, name: str, **values: int | str) -> None:
        database = self._store.database
        self._store.execute(statement(f"pricing/{name}", run=self._number, database=database, **values))


class PriceKeeper:
    """Runs pricing, and counts what came of it. Blocking; one thread at a time."""

    def __init__(
        self, pricing: Pricing, metrics: CollectorMetrics, finish_rewrite: Callable[[], object] = lambda: None
    ) -> None:
        """`finish_rewrite` comes before each run: an unfinished rewrite has noted costs that must not change."""
        self._pricing = pricing
        self._finish_rewrite = finish_rewrite
        self._metrics = metrics
        metrics.prices_unresolved.set_function(lambda: pricing.unresolved)

    def once(self) -> None:
        """A run that fails is counted, and the next one tries again. Raises StoreError, PriceError."""
        try:
            self._finish_rewrite()
            report = self._pricing.run_once()
        except Exception:
            self._metrics.prices_runs.labels("failed").inc()
            raise
        self._metrics.prices_runs.labels("finished").inc()
        self._metrics.prices_filled_in.inc(report.calls)
        if report.calls or report.resolved:
            log.info("priced calls of new models", extra={"names": report.resolved, "calls": report.calls})
