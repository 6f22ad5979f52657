"""What `llm_rewrites` remembers: which parts of which run are prepared, finished, complete."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from collector.rewrite.parts import Part
from collector.rewrite.statements import Scope
from storage.store import Store

_COLUMNS = "run, rewrite, kind, state, toUnixTimestamp(run_since) AS run_since, toUnixTimestamp(run_until) AS run_until, tenant, service, toUnixTimestamp(since) AS since, toUnixTimestamp(until) AS until"
_NUMBERS = "SELECT max(run) AS run, max(rewrite) AS rewrite FROM llm_rewrites"
_OPEN = f"SELECT {_COLUMNS} FROM llm_rewrites WHERE rewrite IN (SELECT rewrite FROM llm_rewrites WHERE rewrite > 0 GROUP BY rewrite HAVING count() = 1)"
_INCOMPLETE = f"SELECT {_COLUMNS} FROM llm_rewrites WHERE run NOT IN (SELECT run FROM llm_rewrites WHERE state = 'complete') ORDER BY rewrite"


@dataclass(frozen=True)
class Run:
    """One command over its whole range."""

    number: int
    kind: str
    scope: Scope

    def part(self, rewrite: int, since: datetime, until: datetime) -> Part:
        return Part(rewrite, self.scope.part(since, until))


class Runs:
    """The state of all runs in one store. Everything raises StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def start(self, kind: str, scope: Scope) -> tuple[Run, list[Part]]:
        """A run of this kind and range, and which parts of it are finished: it may have been interrupted."""
        rows = [row for row in self._store.rows(_INCOMPLETE) if _run(row).kind == kind and _run(row).scope == scope]
        if rows:
            run = _run(rows[-1])
            return run, [_part(row) for row in rows if row["run"] == run.number and row["state"] == "finished"]
        return Run(self._store.rows(_NUMBERS)[0]["run"] + 1, kind, scope), []

    def last_rewrite(self) -> int:
        """The largest number that a part has had."""
        return int(self._store.rows(_NUMBERS)[0]["rewrite"])

    def open(self) -> tuple[Run, Part] | None:
        """The part that is prepared and not finished."""
        rows = self._store.rows(_OPEN)
        return (_run(rows[0]), _part(rows[0])) if rows else None

    def record(self, run: Run, part: Part, state: str) -> None:
        """`prepared` or `finished`."""
        self._insert(run, part, state)

    def complete(self, run: Run) -> None:
        """Nothing is left to do: the same command is another run."""
        self._insert(run, Part(0, run.scope), "complete")

    def _insert(self, run: Run, part: Part, state: str) -> None:
        row = {
            "run": run.number,
            "rewrite": part.rewrite,
            "kind": run.kind,
            "state": state,
            "run_since": int(run.scope.since.timestamp()),
            "run_until": int(run.scope.until.timestamp()),
            "tenant": run.scope.tenant,
            "service": run.scope.service,
            "since": int(part.scope.since.timestamp()),
            "until": int(part.scope.until.timestamp()),
        }
        self._store.insert("llm_rewrites", json.dumps(row).encode(), fmt="JSONEachRow")


def _run(row: dict[str, Any]) -> Run:
    scope = Scope(_time(row["run_since"]), _time(row["run_until"]), row["tenant"], row["service"])
    return Run(row["run"], row["kind"], scope)


def _part(row: dict[str, Any]) -> Part:
    return Part(row["rewrite"], _run(row).scope.part(_time(row["since"]), _time(row["until"])))


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
