"""Power cuts under load: nothing acknowledged is lost, nothing is stored twice, whatever the engine had not synced.

Needs root, for an ext4 of its own on a loop device. Its power is cut by the ioctl that file systems are tested with.
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

from storage import checkpoint
from tests.faults.accounts import check
from tests.faults.conftest import Restartable, Soak
from tests.faults.disk import Ext4Disk, ext4_disk
from tests.faults.load import Load, more
from tests.hub.conftest import copy_store

DISK_BYTES = 2 << 30


def cut(disk: Ext4Disk, running: Restartable) -> None:
    """The machine loses power, and has it again."""
    disk.cut()
    running.kill()
    disk.remount()
    store = disk.path / "store"
    noted = json.loads((store / checkpoint.FILE).read_text())
    (store / checkpoint.FILE).write_text(json.dumps(noted | {"boot_id": "before the cut"}))
    (store / "spool" / "boot_id").write_text("before the cut")


def test_a_power_cut_loses_and_doubles_nothing(
    tmp_path: Path, prepared_store: Path, service: str, soak: Soak, rng: random.Random
) -> None:
    cuts = soak.pick(4, 60)
    with ext4_disk(tmp_path / "disk", DISK_BYTES) as disk:
        copy_store(prepared_store, disk.path)
        os.sync()
        running = Restartable(tmp_path, dsn=f"chdb://{disk.path / 'store'}")
        try:
            with Load(running.address, service, seed=soak.seed) as load:
                for number in range(1, cuts + 1):
                    assert more(load, rng.randint(1, 60))
                    time.sleep(rng.choice([0, 0, 6]) * rng.random())
                    cut(disk, running)
                    running.start()
                    if rng.random() < 0.5:  # before it has inserted again what the store has lost
                        running.kill()
                        running.start()
                    if number % 10 == 0:
                        soak.report(f"{number} cuts, {len(load.acknowledged)} spans acknowledged")
            assert not load.unexpected
            check(running.hub, load.acknowledged, service)
            assert calls_of_spans(running, service) == calls(running, service)
        finally:
            running.close()


def test_a_power_cut_at_the_first_start_leaves_a_hub_that_starts(tmp_path: Path, service: str, soak: Soak) -> None:
    with ext4_disk(tmp_path / "disk", DISK_BYTES) as disk:
        running = Restartable(tmp_path, dsn=f"chdb://{disk.path / 'store'}")
        try:
            with Load(running.address, service, seed=soak.seed) as load:
                assert more(load, 1)
                cut(disk, running)
                running.start()
                assert more(load, 5)
            check(running.hub, load.acknowledged, service)
            assert running.hub.rows(f"SELECT count() AS n FROM llm_calls WHERE service = '{service}' AND cost IS NULL") == [{"n": 0}]  # fmt: skip
        finally:
            running.close()


def calls(running: Restartable, service: str) -> int:
    return running.hub.count("llm_calls", service)


def calls_of_spans(running: Restartable, service: str) -> int:
    """Spans that have to be in llm_calls."""
    (row,) = running.hub.rows(
        f"SELECT count() AS n FROM otel_traces WHERE ServiceName = '{service}' "
        "AND mapContains(SpanAttributes, 'gen_ai.operation.name')"
    )
    return int(row["n"])
