"""How a hub ends, and when it does not start."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
import urllib3

from collector.signals import Signal
from tests.collector.requests import span, traces
from tests.hub.conftest import StartHub
from tests.hub.process import LISTENERS, Exports, Hub, llmhub, until

SENDERS = 8


class Load:
    """Senders of single spans over gRPC and HTTP, each waiting for its answer; every span has a name of its own."""

    def __init__(self, hub: Hub, channel: grpc.Channel, service: str) -> None:
        self.acknowledged: set[str] = set()
        self.refusals: Counter[object] = Counter()
        self._hub = hub
        self._exports = Exports(channel)
        self._service = service
        self._names = itertools.count()
        self._stopped = threading.Event()
        ways: list[Callable[[bytes], object]] = [self._grpc, self._http]
        self._threads = [threading.Thread(target=self._run, args=(way,)) for way in ways for _ in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self, send: Callable[[bytes], object]) -> None:
        while not self._stopped.is_set():
            name = f"span-{next(self._names)}"
            refusal = send(traces(span(name=name), service=self._service).SerializeToString())
            if refusal is None:
                self.acknowledged.add(name)
            else:
                self.refusals[refusal] += 1
                time.sleep(0.05)

    def _grpc(self, body: bytes) -> object:
        code, _ = self._exports.code(Signal.TRACES, body)
        return None if code is grpc.StatusCode.OK else code

    def _http(self, body: bytes) -> object:
        try:
            status = self._hub.post(Signal.TRACES, body).status
        except urllib3.exceptions.HTTPError:
            return "connection"
        return None if status == 200 else status


def test_sigterm_under_load_loses_nothing_acknowledged_however_often_it_is_sent(
    start_hub: StartHub, service: str
) -> None:
    hub = start_hub()
    with hub.channel() as channel:
        load = Load(hub, channel, service)
        assert until(lambda: len(load.acknowledged) > 10 * SENDERS, seconds=20)
        started = time.monotonic()
        hub.terminate()
        while hub.process.poll() is None and time.monotonic() - started < 25:
            time.sleep(0.1)
            hub.terminate()
        seconds = time.monotonic() - started
        load.stop()
    assert hub.process.poll() == 0, hub.log
    assert seconds < 20  # shutdown_seconds
    # Whoever was not served was told to come again, or found the door closed: all of these are retryable in OTLP.
    assert set(load.refusals) <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, 503, "connection"}
    rows = hub.query(f"SELECT SpanName FROM otel_traces WHERE ServiceName = '{service}'").rows()
    names = [row["SpanName"] for row in rows]
    assert load.acknowledged <= set(names)
    assert "Traceback" not in hub.log


def test_a_long_query_does_not_hold_up_the_end(start_hub: StartHub) -> None:
    hub = start_hub({"shutdown_seconds": "4"})
    query = threading.Thread(target=ask_at_length, args=(hub,))
    query.start()
    assert until(lambda: hub.rows("SELECT count() AS n FROM system.processes WHERE query LIKE '%1e11%'")[0]["n"] > 1)
    started = time.monotonic()
    hub.terminate()
    assert hub.wait(60) == 0
    assert time.monotonic() - started < 10
    query.join()


@pytest.mark.parametrize("setting", LISTENERS)
def test_a_busy_port_is_an_error_that_names_the_setting(directory: Path, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        store = f"chdb://{directory / 'store'}"
        ran = llmhub(directory, "--store", store, "up", settings={setting: address})
    assert ran.code == 1
    assert ran.out == ""
    assert ran.err.startswith(f"llmhub: {setting}: cannot listen on {address}: Address already in use. ")
    assert "Traceback" not in ran.err


def test_a_second_hub_on_the_same_store_is_told_who_has_it(hub: Hub, tmp_path: Path) -> None:
    ran = llmhub(tmp_path, "--store", hub.dsn, "up")
    assert ran.code == 1
    assert f"is in use by process {hub.process.pid}" in ran.err
    assert hub.url("ClickHouse HTTP") in ran.err
    assert "Traceback" not in ran.err


def ask_at_length(hub: Hub) -> None:
    with suppress(urllib3.exceptions.HTTPError):
        hub.clickhouse("SELECT sum(sin(number)) FROM numbers(1e11)")
