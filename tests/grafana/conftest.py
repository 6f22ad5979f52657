import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from storage import schema
from storage.embedded import EmbeddedStore
from tests.grafana.engine import Grafana
from tests.grafana.seed import Seed, seed


@pytest.fixture(scope="session")
def month() -> Seed:
    return seed(int(time.time()))


@pytest.fixture(scope="session")
def empty(store: EmbeddedStore, month: Seed) -> Iterator[Grafana]:
    """Every table, no row."""
    with _database(store, "grafana_empty"):
        yield Grafana(store, "grafana_empty", month.now)


@pytest.fixture(scope="session")
def seeded(store: EmbeddedStore, month: Seed) -> Iterator[Grafana]:
    """The month of `tests.grafana.seed`, rolled up by the schema's own views."""
    with _database(store, "grafana_seeded"):
        calls = [{key: value for key, value in row.items() if key != "at"} for row in month.calls]
        _insert(store, "grafana_seeded", "llm_calls", calls)
        _insert(store, "grafana_seeded", "llm_events", month.events)
        _insert(store, "grafana_seeded", "llm_unmapped", month.unmapped)
        yield Grafana(store, "grafana_seeded", month.now)


@contextmanager
def _database(store: EmbeddedStore, name: str) -> Iterator[None]:
    store.execute(f"CREATE DATABASE {name}")
    with store.writing(database=name) as handle:
        for migration in schema.migrations(name):
            for statement in migration.statements:
                handle.query(statement)
    yield
    store.execute(f"DROP DATABASE {name}")


def _insert(store: EmbeddedStore, database: str, table: str, rows: list[dict[str, object]]) -> None:
    data = "\n".join(json.dumps(row) for row in rows).encode()
    with store.writing(database=database) as handle:
        handle.insert(f"INSERT INTO {table}", data, fmt="JSONEachRow")
