"""SIGKILL exactly where an insert becomes visible, which a random moment hits once in thousands of kills."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.accounts import check
from tests.faults.conftest import Restartable, Soak
from tests.faults.load import Load
from tests.hub.process import Hub, until

# A batch of spans renames a part into place in each of four tables, and merges do.
POINTS = 4


@contextmanager
def killed_at_rename(hub: Hub, number: int, traced: Path) -> Iterator[None]:
    """Within it, a thread of the hub that renames for the `number`th time kills the process before that is done."""
    inject = f"inject=rename:signal=SIGKILL:when={number}"
    command = ["strace", "-f", "-q", "-o", str(traced), "-e", "trace=rename", "-e", inject, "-p", str(hub.process.pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as tracer:
        tracing = until(lambda: tracer.poll() is not None or b"strace" in _tracer_of(hub), 10)
        if not tracing or tracer.poll() is not None:
            tracer.kill()
            pytest.skip("strace may not attach to a process here")
        yield
        assert until(lambda: hub.process.poll() is not None, 30), "it was not killed"
        tracer.kill()


def _tracer_of(hub: Hub) -> bytes:
    status = Path(f"/proc/{hub.process.pid}/status").read_text()
    (pid,) = (line.split()[1] for line in status.splitlines() if line.startswith("TracerPid:"))
    return Path(f"/proc/{pid}/comm").read_bytes() if pid != "0" else b""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed (Debian: apt install strace)")
def test_a_kill_between_the_steps_of_an_insert_is_healed_by_the_replay(
    restartable: Restartable, service: str, soak: Soak, tmp_path: Path
) -> None:
    with Load(restartable.address, service, seed=soak.seed) as load:
        for number in range(soak.pick(POINTS, 40)):
            with killed_at_rename(restartable.hub, number % POINTS + 1, tmp_path / "trace.txt"):
                pass
            restartable.start()
            soak.report(f"{number + 1} kills, {len(load.acknowledged)} spans acknowledged")
    assert not load.unexpected
    check(restartable.hub, load.acknowledged, service)
