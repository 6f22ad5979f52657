"""Costs of stored calls, computed again with the prices that the store has now, at the time of each call."""

from __future__ import annotations

from collector.rewrite.parts import Part, Progress, months
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
        rows = self._store.rows(
            "SELECT DISTINCT toUnixTimestamp(toDateTime(toStartOfMonth(timestamp, 'UTC'), 'UTC')) AS start "
            f"FROM llm_calls WHERE {_calls(scope)} ORDER BY start"
        )
        return months(scope, (row["start"] for row in rows))

    def prepare(self, part: Part, progress: Progress) -> None:
        """Nothing: prices are looked up when they are applied."""

    def plan(self, part: Part) -> None:
        repriced, changed = self._expressions()
        self._total(part, before="cost", after=f"({repriced}).1", changed=changed)

    def apply(self, part: Part) -> None:
        repriced, changed = self._expressions()
        marked = f"rewrite = {part.rewrite}"
        self._run("update", part, repriced=repriced, is_changed=changed)
        self._total(part, before=f"if({marked}, previous_cost, cost)", after="cost", changed=marked)
        for which, columns in (("before", "* REPLACE (previous_cost AS cost)"), ("after", "*")):
            self._run("compared", part, which=which, columns=columns, marked=marked)
        correct(self._store, self._statements, part.rewrite)

    def _expressions(self) -> tuple[str, str]:
        """The new cost with where it comes from, and whether these differ from what is stored."""
        repriced = self._statements.text("repriced")
        return repriced, self._statements.text("is_changed", repriced=repriced)

    def _total(self, part: Part, **expressions: str) -> None:
        self._store.execute(f"DELETE FROM llm_rewrite_totals WHERE rewrite = {part.rewrite}")
        self._run("priced_totals", part, **expressions)

    def _run(self, name: str, part: Part, **values: str) -> None:
        self._statements.run(name, rewrite=part.rewrite, calls=_calls(part.scope), **values)


def _calls(scope: Scope) -> str:
    return f"{scope.times('timestamp')} AND {scope.where('tenant', 'service')}"
