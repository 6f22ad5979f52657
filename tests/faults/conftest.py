from __future__ import annotations

import random
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hub.conftest import copy_store, prepared_store
from tests.hub.process import Hub

__all__ = ["prepared_store"]


@dataclass(frozen=True)
class Soak:
    """How long the tests run: a few minutes, or with `--soak` as long as it takes to believe them."""

    long: bool
    seed: int
    report: Callable[[str], None]

    def pick(self, short: int, long: int) -> int:
        return long if self.long else short


@pytest.fixture
def soak(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Soak:
    """In a soak what it reports goes to the terminal at once, otherwise it is shown with a failure."""
    long = bool(request.config.getoption("--soak"))

    def report(text: str) -> None:
        with capsys.disabled() if long else nullcontext():
            print(f"\n    {request.node.name}: {text}", end="", flush=True)

    given = request.config.getoption("--fault-seed")
    seed = random.randrange(1 << 32) if given is None else int(given)
    report(f"--fault-seed {seed}")
    return Soak(long, seed, report)


@pytest.fixture
def rng(soak: Soak) -> random.Random:
    return random.Random(soak.seed)


@pytest.fixture
def service() -> str:
    return f"service-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def directory(tmp_path: Path, prepared_store: Path) -> Path:
    copy_store(prepared_store, tmp_path)
    return tmp_path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class Restartable:
    """A hub that comes back on the same gRPC port and the same store, as a supervisor restarts it."""

    def __init__(self, directory: Path, settings: Mapping[str, str] | None = None, dsn: str = "") -> None:
        self.directory = directory
        self._dsn = dsn
        self.address = f"127.0.0.1:{free_port()}"
        self._settings = {"receivers.otlp_grpc.listen": self.address, **(settings or {})}
        self.hub = self._start()

    def kill(self) -> None:
        """SIGKILL: no handler runs, nothing is flushed."""
        self.hub.process.kill()
        self.hub.process.wait()

    def start(self) -> Hub:
        self.hub = self._start()
        return self.hub

    def close(self) -> None:
        self.hub.close()

    def _start(self) -> Hub:
        return Hub(self.directory, self._settings, dsn=self._dsn)


@pytest.fixture
def restartable(directory: Path) -> Iterator[Restartable]:
    running = Restartable(directory)
    yield running
    running.close()
