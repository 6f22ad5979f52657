"""Correcting `llm_calls_1m` for calls that were replaced: what the new rows add less what the old ones added."""

from __future__ import annotations

from dataclasses import dataclass

from collector.rewrite.statements import Statements
from collector.rewrite.views import select_of
from storage.store import Store

_COLUMNS = (
    "SELECT name, type, is_in_sorting_key FROM system.columns "
    "WHERE database = currentDatabase() AND table = 'llm_calls_1m' ORDER BY position"
)


@dataclass(frozen=True)
class _Columns:
    keys: list[str]
    sums: list[str]
    sketches: dict[str, str]
    """Name to function, such as quantilesDD(0.5)."""


def correct(store: Store, statements: Statements, rewrite: int) -> None:
    """Bring in the difference between `rewrite_before_calls` and `rewrite_after_calls`, once. Raises StoreError."""
    columns = _columns(store)
    statements.run("new_calls", plain_keys=", ".join(key for key in columns.keys if key != "minute"))
    statements.run(
        "correct",
        rewrite=rewrite,
        keys=", ".join(columns.keys),
        sums=", ".join(columns.sums),
        sketches=", ".join(columns.sketches),
        signed_sums=", ".join(f"sum(sign * {name})" for name in columns.sums),
        added_sketches=", ".join(_added(name, function) for name, function in columns.sketches.items()),
        **{
            f"of_{which}": select_of(store, "llm_calls_1m_mv", {"llm_calls": f"rewrite_{which}_calls"})
            for which in ("before", "after", "new")
        },
    )


def _columns(store: Store) -> _Columns:
    rows = store.rows(_COLUMNS)
    types = {row["name"]: row["type"] for row in rows}
    return _Columns(
        keys=[row["name"] for row in rows if row["is_in_sorting_key"]],
        sums=[name for name, kind in types.items() if kind.startswith("SimpleAggregateFunction(sum,")],
        sketches={
            name: kind.removeprefix("AggregateFunction(").rpartition(", ")[0]
            for name, kind in types.items()
            if kind.startswith("AggregateFunction(")
        },
    )


def _added(name: str, function: str) -> str:
    head, parenthesis, parameters = function.partition("(")
    return f"{head}MergeStateIf{parenthesis}{parameters}({name}, is_new)"
