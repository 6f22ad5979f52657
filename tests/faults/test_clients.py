"""Senders that give up, stall or vanish harm neither the hub nor what they sent."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.accounts import check, resident_bytes
from tests.faults.conftest import Restartable, Soak
from tests.faults.load import Load
from tests.hub.conftest import copy_store
from tests.hub.process import Hub, until

MORE_MEMORY_BYTES = 150 << 20
BODY_TIMEOUT = 2
HALF_OPEN = 150
# The preface of HTTP/2, an empty SETTINGS frame, and the beginning of a HEADERS frame that never ends.
HALF_HTTP2 = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    + bytes([0, 0, 90, 1, 4, 0, 0, 0, 1])
    + b"\x83"
)
HALF_HTTP = b"POST /v1/traces HTTP/1.1\r\nHost: hub\r\nContent-Type: application/x-protobuf\r\nContent-Length: 100000\r\n\r\n\x0a\x20"
HALF_HEADERS = b"POST /v1/traces HTTP/1.1\r\nHost: hub\r\nContent-Ty"
HALVES = {"OTLP gRPC": (HALF_HTTP2, HALF_HTTP2[:7], b""), "OTLP HTTP": (HALF_HTTP, HALF_HEADERS, b"")}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, prepared_store: Path) -> Iterator[Restartable]:
    directory = tmp_path_factory.mktemp("hub")
    copy_store(prepared_store, directory)
    hub = Restartable(directory, {"receivers.otlp_http.body_timeout_seconds": str(BODY_TIMEOUT)})
    yield hub
    hub.close()


def open_sockets(hub: Hub) -> int:
    """Not all files: each thread of the engine has three, and it begins some when it needs them."""
    return sum(is_socket(file) for file in Path(f"/proc/{hub.process.pid}/fd").iterdir())


def is_socket(file: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.readlink(file).startswith("socket:")
    return False


def test_senders_that_cancel_after_50_ms_and_come_again_are_stored_once(
    running: Restartable, service: str, soak: Soak
) -> None:
    """The deadline passes before most batches are even written: an answer that nobody waits for any more."""

    def impatient(rng: random.Random) -> float:
        return 0.05 if rng.random() < 0.9 else 10.0

    with Load(running.address, service, seed=soak.seed) as load:
        time.sleep(2)
        memory = resident_bytes(running.hub)
    with Load(running.address, service, seed=soak.seed + 1, senders=20, timeout=impatient) as impatiently:
        time.sleep(soak.pick(6, 120))
    assert sum(impatiently.refusals.values()) > 50
    assert not impatiently.unexpected
    check(running.hub, load.acknowledged | impatiently.acknowledged, service)
    assert resident_bytes(running.hub) < memory + MORE_MEMORY_BYTES


@pytest.mark.parametrize("listener", HALVES)
def test_connections_that_stay_half_open_keep_nobody_else_out(
    running: Restartable, service: str, soak: Soak, listener: str
) -> None:
    before = open_sockets(running.hub)
    memory = resident_bytes(running.hub)
    host, port = running.hub.addresses[listener].split(":")
    stalled = [socket.create_connection((host, int(port))) for _ in range(HALF_OPEN)]
    for number, each in enumerate(stalled):
        each.sendall(HALVES[listener][number % len(HALVES[listener])])
    with Load(running.address, service, seed=soak.seed) as load:
        time.sleep(soak.pick(2, 30))
    assert load.requests > 10
    assert not load.refusals
    for each in stalled:
        each.close()
    assert until(lambda: open_sockets(running.hub) < before + HALF_OPEN // 10, 10), open_sockets(running.hub)
    check(running.hub, load.acknowledged, service)
    assert resident_bytes(running.hub) < memory + MORE_MEMORY_BYTES


def test_a_body_that_never_ends_is_answered_and_closed(running: Restartable) -> None:
    host, port = running.hub.addresses["OTLP HTTP"].split(":")
    with socket.create_connection((host, int(port)), timeout=BODY_TIMEOUT + 20) as stalled:
        stalled.sendall(HALF_HTTP)
        answer = b"".join(iter(lambda: stalled.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"receivers.otlp_http.body_timeout_seconds" in answer


VANISHING = """
import sys, time
from tests.faults.load import Load
with Load(sys.argv[1], sys.argv[2], seed=int(sys.argv[3]), senders=8, pause=0.0) as load:
    print("running", flush=True)
    time.sleep(600)
"""


def test_a_sender_that_freezes_and_then_vanishes_leaves_nothing_behind(
    running: Restartable, service: str, soak: Soak
) -> None:
    """Frozen, it neither reads nor closes: the connections are open and nobody is there. Killed, it is gone."""
    before = open_sockets(running.hub)
    command = [sys.executable, "-c", VANISHING, running.address, f"{service}-vanishing", str(soak.seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as sender:
        assert sender.stdout is not None
        assert sender.stdout.readline() == b"running\n"
        time.sleep(1.5)
        sender.send_signal(signal.SIGSTOP)
        with Load(running.address, service, seed=soak.seed) as load:
            time.sleep(2)
        assert load.requests > 10
        sender.kill()
    check(running.hub, load.acknowledged, service)
    check(running.hub, set(), f"{service}-vanishing")
    assert until(lambda: open_sockets(running.hub) <= before + 10, 10)
