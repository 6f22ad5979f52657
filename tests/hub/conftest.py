from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.hub.process import Exports, Hub, llmhub

StartHub = Callable[..., Hub]


@pytest.fixture(scope="session")
def prepared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with schema and prices and no data. Copies of it start faster than a new one."""
    directory = tmp_path_factory.mktemp("prepared")
    (directory / "empty.pb").touch()
    ran = llmhub(directory, "--store", f"chdb://{directory / 'store'}", "ingest", "empty.pb")
    assert ran.code == 0, ran.err
    return directory / "store"


@pytest.fixture
def directory(tmp_path: Path, prepared_store: Path) -> Path:
    """A directory with a prepared store in `store`."""
    copy_store(prepared_store, tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory, prepared_store: Path) -> Iterator[Hub]:
    """The hub that most tests share. Tests tell their rows apart by service."""
    directory = tmp_path_factory.mktemp("hub")
    copy_store(prepared_store, directory)
    running = Hub(directory)
    yield running
    running.close()


@pytest.fixture
def exports(hub: Hub) -> Iterator[Exports]:
    with hub.channel() as channel:
        yield Exports(channel)


@pytest.fixture
def start_hub(directory: Path) -> Iterator[StartHub]:
    """Starts hubs of the test's own on the store in `directory`."""
    started: list[Hub] = []

    def start(settings: Mapping[str, str] | None = None) -> Hub:
        started.append(Hub(directory, settings))
        return started[-1]

    yield start
    for running in started:
        running.close()


@pytest.fixture
def service() -> str:
    return f"service-{uuid.uuid4().hex[:8]}"


def copy_store(store: Path, directory: Path) -> None:
    # The engine reaches its tables through relative links.
    shutil.copytree(store, directory / "store", symlinks=True)
