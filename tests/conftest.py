"""What every test may share. The embedded engine serves one directory a process, so there is one store a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from storage import reference, schema
from storage.content_policy import ContentPolicy
from storage.embedded import EmbeddedStore
from storage.store import Limits


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the fault tests for as long as it takes to believe them")
    parser.addoption("--fault-seed", type=int, help="the seed that a run of the fault tests has printed")


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    """An embedded store without a schema of its own accord. Tests name their own tables and drop them."""
    opened = EmbeddedStore(tmp_path_factory.mktemp("store") / "chdb", Limits(query_seconds=20.0, writers=2))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def llm_store(store: EmbeddedStore) -> EmbeddedStore:
    """The session's store with schema and reference data. Tests tell their rows apart by tenant."""
    schema.apply(store)
    reference.load(store)
    ContentPolicy().load(store)
    return store
