"""The SQL of a rewrite: `storage/sql/rewrite/*.sql`, which share fragments with migrations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from storage import sql
from storage.statement import quote
from storage.store import Store

ONE_BLOCK = (
    "max_threads = 1, max_insert_threads = 1, max_block_size = 16777216, min_insert_block_size_rows = 16777216, "
    "min_insert_block_size_bytes = 0, max_partitions_per_insert_block = 0, insert_deduplicate = 0"
)
"""Everything in one block, which the views see as a whole and each month of which is written at once."""


@dataclass(frozen=True)
class Scope:
    """What a run covers. Times have a time zone; `until` is exclusive; an empty tenant or service means all."""

    since: datetime
    until: datetime
    tenant: str = ""
    service: str = ""

    def part(self, since: datetime, until: datetime) -> Scope:
        """Another range of the same tenant and service."""
        return Scope(since, until, self.tenant, self.service)

    def clip(self, since: datetime, until: datetime) -> Scope:
        """What of a range lies in this one."""
        return self.part(max(since, self.since), min(until, self.until))

    def where(self, tenant: str, service: str) -> str:
        """SQL on the columns of these names."""
        wanted = {tenant: self.tenant, service: self.service}
        return " AND ".join(f"{name} = {quote(value)}" for name, value in wanted.items() if value) or "true"

    def times(self, column: str) -> str:
        """SQL on a DateTime64(9) column."""
        since, until = (f"fromUnixTimestamp64Nano({instant})" for instant in self.nanoseconds)
        return f"{column} >= {since} AND {column} < {until}"

    @property
    def nanoseconds(self) -> tuple[int, int]:
        return int(self.since.timestamp()) * 10**9, int(self.until.timestamp()) * 10**9


class Statements:
    """Runs the files of the folder on one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._own = {"database": store.database, "one_block": ONE_BLOCK}

    def run(self, name: str, **values: object) -> None:
        """Each statement of the file. Raises StoreError."""
        for each in sql.statements(f"rewrite/{name}", **self._own, **values):
            self._store.execute(each)

    def text(self, name: str, **values: object) -> str:
        return sql.statement(f"rewrite/{name}", **self._own, **values)
