"""What the two kinds of rewriting have in common for the run that carries them through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from collector.rewrite.statements import Scope
from storage.statement import quote
from storage.store import Store

Progress = Callable[[float], None]
"""Is called with the share of a part that is done, again and again. May raise to stop."""


@dataclass(frozen=True)
class Part:
    """One step of a run: a number that no other has, and the range that is changed at once."""

    rewrite: int
    scope: Scope


class Kind(Protocol):
    """How a part is worked out, and how it is carried through. Everything raises StoreError."""

    name: str

    def parts(self, scope: Scope) -> list[Scope]:
        """The parts of a range that hold anything, in order."""

    def prepare(self, part: Part, progress: Progress) -> None:
        """Work out what changes, without changing it. What an earlier attempt has left is thrown away."""

    def plan(self, part: Part) -> None:
        """Write what is prepared into `llm_rewrite_totals`."""

    def apply(self, part: Part) -> None:
        """Change it. Doing so again, also after half of it, changes nothing more."""


def days(scope: Scope) -> Iterator[Scope]:
    """The parts of a range by UTC days."""
    since = scope.since
    while since < scope.until:
        until = min(_midnight(since) + timedelta(days=1), scope.until)
        yield scope.part(since, until)
        since = until


def months(scope: Scope) -> Iterator[Scope]:
    """The parts of a range by months, in UTC."""
    since = scope.since
    while since < scope.until:
        until = min((_midnight(since).replace(day=1) + timedelta(days=32)).replace(day=1), scope.until)
        yield scope.part(since, until)
        since = until


def _midnight(time: datetime) -> datetime:
    return time.replace(hour=0, minute=0, second=0, microsecond=0)


def stored(store: Store, tables: tuple[str, ...], scopes: Iterable[Scope]) -> list[Scope]:
    """Those of `scopes` for which the tables, which are partitioned by day or month, may have rows."""
    names = ", ".join(map(quote, tables))
    rows = store.rows(
        "SELECT DISTINCT partition_id AS id FROM system.parts "
        f"WHERE active AND database = currentDatabase() AND table IN ({names}) AND NOT startsWith(partition_id, 'patch')"
    )
    ids = {row["id"] for row in rows}
    return [scope for scope in scopes if ids & _partitions(scope)]


def _partitions(scope: Scope) -> set[str]:
    """Names of days and months, with a day more on both sides: partitions follow the time zone of the store."""
    count = (scope.until - scope.since).days + 4
    dates = [scope.since + timedelta(days=number - 1) for number in range(count)]
    return {f"{date:%Y%m%d}" for date in dates} | {f"{date:%Y%m}" for date in dates}
