"""Rows of `llm_calls` and `llm_steps`, built again from the spans and log records that are stored, with the aliases and views
that the store has now."""

from __future__ import annotations

import time
from dataclasses import dataclass

from collector.rewrite.parts import Part, Progress, days
from collector.rewrite.rollup import correct
from collector.rewrite.statements import Scope, Statements
from collector.rewrite.views import select_of
from storage.statement import quote
from storage.store import Store

SLICE_RECORDS = 40_000
"""Spans and log records that are normalised together: some 300 MB of memory with what lies around them."""
_CONTEXT_NANOSECONDS = 60 * 10**9
_LONGEST_INSERT_SECONDS = 60.0


@dataclass(frozen=True)
class _Table:
    """One of the two that rows are replaced in."""

    what: str
    marks: str
    """Columns that say what rewriting did, and not what the span says."""
    provider: str
    model: str
    usd: str

    @property
    def name(self) -> str:
        return f"llm_{self.what}"


_TABLES = (
    _Table(
        "calls",
        marks="rewrite, previous_cost",
        provider="provider",
        model="model",
        usd="cost",
    ),
    _Table("steps", marks="rewrite", provider="''", model="role", usd="toNullable(0.)"),
)
_VIEWS = {
    "llm_spans_mv": "llm_spans",
    "llm_log_spans_mv": "llm_spans",
    "llm_calls_mv": "llm_calls",
    "llm_step_spans_mv": "llm_step_spans",
    "llm_steps_mv": "llm_steps",
}
_DAYS = "SELECT DISTINCT toUnixTimestamp(toStartOfDay(Timestamp, 'UTC')) AS start FROM {} WHERE {}"
_REPLACED = ("otel_traces", "otlp_log_records", "llm_spans", "llm_step_spans")


class Renormalise:
    """A part is a day of spans and log records. Rows that come out as they are stored stay; rows whose span or log record is
    gone stay, too."""

    name = "renormalise"

    def __init__(self, store: Store, slice_records: int = SLICE_RECORDS) -> None:
        self._store = store
        self._slice = slice_records
        self._statements = Statements(store)

    def parts(self, scope: Scope) -> list[Scope]:
        rows = self._store.rows(
            " UNION DISTINCT ".join(_DAYS.format(table, _records(scope)) for table in ("otel_traces", "otel_logs"))
        )
        return days(scope, sorted(row["start"] for row in rows))

    def prepare(self, part: Part, progress: Progress) -> None:
        self._statements.run("scratch")
        self._point_views()
        slices = self._slices(part)
        for number, (first, last) in enumerate(slices):
            progress(number / len(slices))
            self._compare(part, first, last)
        for table in _TABLES:
            self._run("after", part, what=table.what)

    def plan(self, part: Part) -> None:
        self._store.execute(f"DELETE FROM llm_rewrite_totals WHERE rewrite = {part.rewrite}")
        for table in _TABLES:
            self._run("totals", part, **{name: getattr(table, name) for name in ("what", "provider", "model", "usd")})

    def apply(self, part: Part) -> None:
        # New before old: for the moment between, a call is there twice, and queries that count a response once do so.
        for table in _TABLES:
            self._attach(table, part)
            self._run("delete", part, what=table.what)
        self.plan(part)
        correct(self._store, self._statements, part.rewrite)

    def _point_views(self) -> None:
        for view, target in _VIEWS.items():
            select = select_of(self._store, view, {name: f"rewrite_{name}" for name in _REPLACED})
            self._store.execute(f"CREATE MATERIALIZED VIEW rewrite_{view} TO rewrite_{target} AS {select}")

    def _slices(self, part: Part) -> list[tuple[int, int]]:
        self._run("slices", part, slice=self._slice)
        rows = self._store.rows("SELECT first, last FROM rewrite_slices ORDER BY first")
        return [(row["first"], row["last"]) for row in rows]

    def _compare(self, part: Part, first: int, last: int) -> None:
        """Normalise what lies between two instants, and note how it differs from what is stored."""
        for name in ("sources", "llm_calls", "llm_steps"):
            self._store.execute(f"TRUNCATE TABLE rewrite_{name}")
        # No more than the slice itself on both sides, or a busy minute would be too much at once.
        bounds = {"first": first, "last": last, "context": min(last - first, _CONTEXT_NANOSECONDS)}
        for name in ("sources", "spans", "logs"):
            self._run(name, part, **bounds, log_columns=self._log_columns())
        self._await_inserts()
        for table in _TABLES:
            values = {"what": table.what, "marks": table.marks}
            for name in (f"changed_{table.what}", "outdated"):
                self._run(name, part, **bounds, **values)

    def _log_columns(self) -> str:
        (row,) = self._store.rows(
            "SELECT arrayStringConcat(groupArray(name), ', ') AS names FROM (SELECT name FROM system.columns "
            "WHERE database = currentDatabase() AND table IN ('otel_logs', 'otlp_log_records') GROUP BY name HAVING count() = 2)"
        )
        return str(row["names"])

    def _await_inserts(self) -> None:
        """A span that was read may be of an insert that has not written its call yet."""
        started = time.monotonic()
        while (waited := time.monotonic() - started) < _LONGEST_INSERT_SECONDS:
            (row,) = self._store.rows(
                "SELECT count() AS n FROM system.processes WHERE query_kind = 'Insert' AND elapsed > {waited:Float64}",
                params={"waited": str(waited)},
            )
            if not row["n"]:
                return
            time.sleep(0.02)

    def _attach(self, table: _Table, part: Part) -> None:
        """Parts become visible together; a crash may have let some of them survive."""
        expected = self._count(f"rewrite_after_{table.what}", part)
        found = self._count(table.name, part)
        if found not in (0, expected):
            self._store.execute(
                f"DELETE FROM {table.name} WHERE rewrite = {part.rewrite} SETTINGS lightweight_delete_mode = 'lightweight_update'"
            )
        if found != expected:
            for partition in self._partitions(f"rewrite_after_{table.what}"):
                self._store.execute(
                    f"ALTER TABLE {table.name} ATTACH PARTITION ID {quote(partition)} FROM rewrite_after_{table.what}"
                )

    def _count(self, table: str, part: Part) -> int:
        since, until = part.scope.nanoseconds
        (row,) = self._store.rows(
            f"SELECT count() AS n FROM {table} WHERE rewrite = {part.rewrite} "
            f"AND timestamp BETWEEN fromUnixTimestamp64Nano({since}) - INTERVAL 1 DAY AND fromUnixTimestamp64Nano({until})"
        )
        return int(row["n"])

    def _partitions(self, table: str) -> list[str]:
        rows = self._store.rows(
            "SELECT DISTINCT partition_id AS id FROM system.parts "
            f"WHERE active AND database = currentDatabase() AND table = {quote(table)} ORDER BY id"
        )
        return [row["id"] for row in rows]

    def _run(self, name: str, part: Part, **values: object) -> None:
        scope = part.scope
        filters = {
            "records": scope.where("Tenant", "ServiceName"),
            "within": _records(scope),
            "tenants": Scope(scope.since, scope.until, scope.tenant).where("Tenant", ""),
        }
        from_sources = self._statements.text("from_sources")
        self._statements.run(name, rewrite=part.rewrite, from_sources=from_sources, **filters, **values)


def _records(scope: Scope) -> str:
    return f"{scope.times('Timestamp')} AND {scope.where('Tenant', 'ServiceName')}"
