"""The views of the schema, pointed at other tables: what they compute is written once, in the migrations."""

from __future__ import annotations

import re
from collections.abc import Mapping

from storage.store import Store, StoreError

_VIEW = "SELECT as_select FROM system.tables WHERE database = currentDatabase() AND name = {name:String}"


def select_of(store: Store, view: str, tables: Mapping[str, str]) -> str:
    """The SELECT of the materialised view `view`, reading the tables named here instead. Raises StoreError."""
    rows = store.rows(_VIEW, params={"name": view})
    if not rows or not rows[0]["as_select"]:
        raise StoreError(f"the store has no view {view}: `llmhub schema apply` brings it up to date")
    names = re.compile(r"\b(" + "|".join(map(re.escape, tables)) + r")\b")
    return names.sub(lambda match: tables[match[1]], str(rows[0]["as_select"]))


def drop_scratch(store: Store) -> None:
    """Remove every table and view of a rewrite under way. Raises StoreError."""
    rows = store.rows(
        "SELECT name, engine LIKE '%View' AS is_view FROM system.tables "
        "WHERE database = currentDatabase() AND startsWith(name, 'rewrite_') ORDER BY is_view DESC, name"
    )
    for row in rows:
        store.execute(f"DROP {'VIEW' if row['is_view'] else 'TABLE'} IF EXISTS {row['name']}")
