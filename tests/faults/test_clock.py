"""A clock that is set forth and back under load: what must be monotonic is, and nothing is lost or doubled."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.faults.accounts import check
from tests.faults.conftest import Restartable, Soak
from tests.faults.load import SENDERS, Load, more

LIBRARIES = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
)
MINUTE, HOUR, DAY = 60, 3600, 86_400


class Clock:
    """The wall clock of processes that were started under it; their monotonic clock is the machine's."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.step(0)

    def step(self, seconds: int) -> None:
        """Let it be `seconds` from the real time, from now on."""
        draft = self._file.with_suffix(".new")
        draft.write_text(f"{seconds:+d}\n")
        draft.rename(self._file)


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    library = next(filter(lambda path: Path(path).exists(), LIBRARIES), None)
    if library is None:
        pytest.skip("libfaketime is not installed (Debian: apt install libfaketime)")
    file = tmp_path / "clock"
    monkeypatch.setenv("LD_PRELOAD", library)
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(file))
    monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    return Clock(file)


def test_a_clock_that_is_set_under_load_loses_and_doubles_nothing(
    clock: Clock, directory: Path, service: str, soak: Soak, rng: random.Random
) -> None:
    steps = [HOUR, -HOUR, 7, -7, 2 * DAY, 0, *(rng.randint(-HOUR, 2 * DAY) for _ in range(soak.pick(2, 40))), 0]
    running = Restartable(directory)
    try:
        with Load(running.address, service, seed=soak.seed) as load:
            for seconds in steps:
                clock.step(seconds)
                # One request more than were under way: it was sent after the step.
                assert more(load, SENDERS + 1), f"it stands still after a step to {seconds} s"
            running.kill()
            clock.step(-MINUTE)
            running.start()
            time.sleep(1)
        assert not load.unexpected
        assert load.slowest < 10
        check(running.hub, load.acknowledged, service)
        received = running.hub.rows("SELECT max(ReceivedAt) > now() + INTERVAL 1 DAY AS future FROM otel_traces")
        assert received == [{"future": 1}], "the hub has seen the clock step"
    finally:
        running.close()
