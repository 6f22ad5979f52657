"""A ClickHouse server that fails in every way a server can, with a hub before it that goes on acknowledging.

The server's stand-in is another hub's ClickHouse port, see tests/hub/test_server_mode.py.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.accounts import check, in_database, resident_bytes
from tests.faults.conftest import Restartable, Soak, free_port
from tests.faults.load import Load, more
from tests.faults.proxy import Fault, FaultProxy
from tests.hub.conftest import copy_store
from tests.hub.process import until

SETTINGS = {"collector.ack_seconds": "1"}
MORE_MEMORY_BYTES = 150 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, prepared_store: Path) -> Iterator[Restartable]:
    settings = {
        "storage.clickhouse_http.users": "[{name: default, readonly: false}]",
        "storage.clickhouse_http.listen": f"127.0.0.1:{free_port()}",
    }
    directory = tmp_path_factory.mktemp("server")
    copy_store(prepared_store, directory)
    running = Restartable(directory, settings)
    yield running
    running.close()


@pytest.fixture(scope="module")
def proxy(server: Restartable) -> Iterator[FaultProxy]:
    running = FaultProxy(server.hub.addresses["ClickHouse HTTP"])
    yield running
    running.close()


@pytest.fixture(scope="module")
def remote(proxy: FaultProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restartable]:
    directory = tmp_path_factory.mktemp("remote")
    running = Restartable(directory, SETTINGS, dsn=f"clickhouse://default@{proxy.address}/other")
    yield running
    running.close()


def test_the_proxy_itself_changes_nothing(server: Restartable, remote: Restartable, service: str) -> None:
    with Load(remote.address, service, senders=2) as load:
        time.sleep(1)
    assert load.acknowledged
    assert not load.refusals
    check(remote.hub, load.acknowledged, service, in_database(server.hub, "other"))


def test_however_the_server_fails_senders_are_acknowledged_and_nothing_is_lost_or_doubled(
    server: Restartable, remote: Restartable, proxy: FaultProxy, service: str, soak: Soak
) -> None:
    with Load(remote.address, service, seed=soak.seed) as load:
        time.sleep(2)
        memory = resident_bytes(remote.hub)
        for fault in Fault:
            endure(load, proxy, fault, soak.pick(12, 2_000))
            soak.report(f"the server {fault}: {len(load.acknowledged)} spans acknowledged")
            time.sleep(1)
    assert not load.unexpected
    check(remote.hub, load.acknowledged, service, in_database(server.hub, "other"))
    # What is free goes back to the system every half minute.
    assert until(lambda: resident_bytes(remote.hub) < memory + MORE_MEMORY_BYTES, 45), resident_bytes(remote.hub)


def test_a_server_that_fails_every_now_and_then_gets_everything_once(
    server: Restartable, remote: Restartable, proxy: FaultProxy, service: str, soak: Soak, rng: random.Random
) -> None:
    faults = [fault for fault in Fault if fault is not Fault.HANG]
    trouble = proxy.during(lambda: rng.choice(faults) if rng.random() < 0.3 else None)
    with Load(remote.address, service, seed=soak.seed) as load, trouble:
        time.sleep(soak.pick(5, 120))
    check(remote.hub, load.acknowledged, service, in_database(server.hub, "other"))


def test_hub_and_server_may_be_killed_at_any_time(
    server: Restartable, remote: Restartable, service: str, soak: Soak, rng: random.Random
) -> None:
    kills = soak.pick(4, 60)
    with Load(remote.address, service, seed=soak.seed) as load:
        for number in range(1, kills + 1):
            time.sleep(0.5 + rng.random())
            victim = server if number % 2 else remote
            victim.kill()
            time.sleep(rng.random())
            victim.start()
            if number % 10 == 0:
                soak.report(f"{number} kills, {len(load.acknowledged)} spans acknowledged")
        time.sleep(1)
    assert not load.unexpected
    check(remote.hub, load.acknowledged, service, in_database(server.hub, "other"))


def test_a_hub_whose_server_hangs_stops_within_its_grace_period(
    server: Restartable, proxy: FaultProxy, service: str, tmp_path: Path
) -> None:
    settings = {**SETTINGS, "shutdown_seconds": "8"}
    remote = Restartable(tmp_path, settings, dsn=f"clickhouse://default@{proxy.address}/hanging")
    with Load(remote.address, service, senders=2) as load:
        assert more(load, 5)
        with proxy.during(lambda: Fault.HANG):
            assert more(load, 5), "they are acknowledged from the spool"
            started = time.monotonic()
            remote.hub.terminate()
            remote.hub.wait()
            assert time.monotonic() - started < 8 + 5
        remote.start()
        assert more(load, 5)
    check(remote.hub, load.acknowledged, service, in_database(server.hub, "hanging"))
    remote.close()


def endure(load: Load, proxy: FaultProxy, fault: Fault, requests: int) -> None:
    with proxy.during(lambda: fault):
        assert until(lambda: proxy.hits[fault]), f"the server {fault}"
        assert more(load, requests), f"it is acknowledged from the spool while the server {fault}"
