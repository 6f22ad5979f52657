"""Disks that are full: senders are told to come again, and nothing that was acknowledged is lost."""

from __future__ import annotations

import time
from pathlib import Path

import grpc
import pytest

from tests.faults.accounts import check
from tests.faults.conftest import Restartable, Soak
from tests.faults.disk import small_disk
from tests.faults.load import SENDERS, Load
from tests.hub.conftest import copy_store
from tests.hub.process import until


def test_a_full_disk_under_the_spool_refuses_and_takes_again_when_there_is_room(
    directory: Path, service: str, soak: Soak
) -> None:
    with small_disk(directory / "disk", "64m") as disk:
        settings = {
            "collector.spool.path": str(disk.path / "spool"),
            "collector.spool.key_file": str(directory / "key"),
        }
        running = Restartable(directory, settings)
        try:
            with Load(running.address, service, seed=soak.seed) as load:
                assert until(lambda: load.requests > 20, 20)
                disk.fill()
                assert until(lambda: load.refusals[grpc.StatusCode.RESOURCE_EXHAUSTED] > 10, 20)
                full = load.requests
                time.sleep(1)
                assert load.requests <= full + SENDERS, "each may have had one under way"
                disk.free()
                assert until(lambda: load.requests > full + 50, 20)
            assert set(load.refusals) == {grpc.StatusCode.RESOURCE_EXHAUSTED}
            check(running.hub, load.acknowledged, service)
        finally:
            running.close()


@pytest.mark.parametrize("killed", [False, True], ids=["and stays up", "and is killed"])
def test_a_full_disk_under_the_store_is_what_the_spool_is_for(
    tmp_path: Path, prepared_store: Path, service: str, soak: Soak, killed: bool
) -> None:
    with small_disk(tmp_path / "disk", "1g") as disk:
        copy_store(prepared_store, disk.path)
        settings = {"collector.spool.path": str(tmp_path / "spool"), "collector.ack_seconds": "1"}
        running = Restartable(tmp_path, settings, dsn=f"chdb://{disk.path / 'store'}")
        try:
            with Load(running.address, service, seed=soak.seed) as load:
                assert until(lambda: load.requests > 20, 20)
                disk.fill()
                time.sleep(2)
                full = load.requests
                assert until(lambda: load.requests > full + 20, 20), "it is acknowledged from the spool"
                if killed:
                    running.kill()
                disk.free()
                if killed:
                    running.start()
                time.sleep(2)
            assert not load.unexpected
            check(running.hub, load.acknowledged, service)
        finally:
            running.close()
