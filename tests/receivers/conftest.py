from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.receivers.recorder import Loop, Recorder


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
