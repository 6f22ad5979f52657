"""Queries as the plugin sends them, answers as it reads them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from storage.embedded import EmbeddedStore
from tests.grafana.macros import ALL, View, expand
from tests.grafana.seed import TENANT

Variables = Mapping[str, str | Sequence[str]]

NONE: Variables = {}
EVERYTHING: Variables = {
    "tenant": TENANT,
    "environment": [ALL],
    "service": [ALL],
    "provider": [ALL],
    "model": [ALL],
}


@dataclass(frozen=True)
class Frame:
    """A result; `types` are ClickHouse's, by column."""

    types: Mapping[str, str]
    rows: list[dict[str, Any]]

    @property
    def value(self) -> Any:
        """The only cell."""
        (row,) = self.rows
        (value,) = row.values()
        return value


@dataclass(frozen=True)
class Grafana:
    """A Grafana connected to one database of the store, read-only; `now` is in seconds."""

    store: EmbeddedStore
    database: str
    now: int

    def ask(self, sql: str, *, minutes: int = 60, ago: int = 0, interval: int = 60, chosen: Variables = NONE) -> Frame:
        """Run `sql` for the range of `minutes` that ended `ago` minutes before now; `chosen` are variables."""
        end = (self.now - 60 * ago) * 1000
        view = View(end - 60_000 * minutes, end, interval * 1000, {**EVERYTHING, **chosen})
        body = self.store.read(expand(sql, view), fmt="JSON", database=self.database)
        answer = json.loads(body) if body else {"meta": [], "data": []}
        return Frame({column["name"]: column["type"] for column in answer["meta"]}, answer["data"])
