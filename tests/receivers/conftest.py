from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.receivers.kafka_broker import Kafka, Missing, mock_broker, running_broker
from tests.receivers.recorder import Loop, Recorder


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A real broker; librdkafka's own mock of one where a real one cannot run."""
    with ExitStack() as stack:
        try:
            address, real = stack.enter_context(running_broker(tmp_path_factory.mktemp("kafka"))), True
        except Missing:
            address, real = stack.enter_context(mock_broker()), False
        yield Kafka(address, real)
