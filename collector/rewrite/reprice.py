"""Costs of stored calls, computed again with the prices that the store has now, at the time of each call."""

from __future__ import annotations

from collector.rewrite.parts import Part, Progress, months, stored
from collector.rewrite.rollup import correct
from collector.rewrite.statements import Scope, Statements
from storage.store import Store


class Reprice:
    """A part is a month. Only cost and what says where it comes from change, in the rows where they are; each keeps its
    cost from before, so what a part has changed can be told from the table alone."""

    name = "reprice"

    def __init__(self, store: Store) -> None:
        self._store = store
        self._statements = Statements(store)

    def parts(self, scope: Scope) -> list[Scope]:
        return stored(self._store, ("llm_calls",), months(scope))

    def prepare(self, part: Part, progress: Progress) -> None:
        """Nothing: prices are looked up when they are applied."""

    def plan(self, part: Part) -> None:
        changed = self._text("is_changed", repriced=self._text("repriced"))
        self._compare(part, "*", f"* REPLACE (({self._text('repriced')}).1 AS cost)", changed)
        self._total(part)

    def apply(self, part: Part) -> None:
        repriced = self._text("repriced")
        is_changed = self._text("is_changed", repriced=repriced)
        calls = self._calls(part)
        self._statements.run("update", repriced=repriced, is_changed=is_changed, calls=calls, rewrite=part.rewrite)
        self._compare(part, "* REPLACE (previous_cost AS cost)", "*", f"rewrite = {part.rewrite}")
        self._total(part)
        correct(self._store, self._statements, part.rewrite)

    def _compare(self, part: Part, before: str, after: str, condition: str) -> None:
        where = f"{self._calls(part)} AND {condition}"
        for which, columns in (("before", before), ("after", after)):
            self._statements.run("compared", which=which, columns=columns, where=where)

    def _total(self, part: Part) -> None:
        self._store.execute(f"DELETE FROM llm_rewrite_totals WHERE rewrite = {part.rewrite}")
        self._statements.run("totals", rewrite=part.rewrite, what="calls", provider="provider", model="model", price="cost")

    def _calls(self, part: Part) -> str:
        since, until = part.scope.nanoseconds
        times = f"timestamp >= fromUnixTimestamp64Nano({since}) AND timestamp < fromUnixTimestamp64Nano({until})"
        return f"{times} AND {part.scope.where('tenant', 'service')}"

    def _text(self, name: str, **values: str) -> str:
        return self._statements.text(name, **values)
