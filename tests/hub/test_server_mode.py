"""A hub whose store is a ClickHouse server. The server's stand-in is another hub's ClickHouse port, so the
statements, formats and errors are the engine's own, but users and limits are the hub's. The user is called
default, because dictionaries log in to the engine itself, which knows only that one, without a password."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from collector.signals import Signal
from collector.sweep import Sweep
from storage.store import open_store
from tests.collector.requests import SECOND, call, gauge, logs, span, traces
from tests.hub.conftest import copy_store
from tests.hub.process import Exports, Hub, until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, prepared_store: Path) -> Iterator[Hub]:
    users = "[{name: default, readonly: false}]"
    directory = tmp_path_factory.mktemp("server")
    copy_store(prepared_store, directory)
    running = Hub(directory, {"storage.clickhouse_http.users": users})
    yield running
    running.close()


@pytest.fixture(scope="module")
def remote(server: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    dsn = f"clickhouse://default@{server.addresses['ClickHouse HTTP']}/other"
    running = Hub(tmp_path_factory.mktemp("remote"), {"sweep.interval_seconds": "0"}, dsn=dsn)
    yield running
    running.close()


@pytest.fixture
def remote_exports(remote: Hub) -> Iterator[Exports]:
    with remote.channel() as channel:
        yield Exports(channel)


def test_it_applies_the_schema_in_the_database_of_the_dsn(server: Hub, remote: Hub) -> None:
    ours = "SELECT name FROM system.tables WHERE database = '{}' AND name NOT LIKE '.inner%' ORDER BY name"
    assert server.rows(ours.format("other")) == server.rows(ours.format("llm"))
    assert remote.api("/readyz").status == 200


def test_it_offers_no_clickhouse_port_of_its_own(server: Hub, remote: Hub) -> None:
    assert set(remote.addresses) == {"OTLP gRPC", "OTLP HTTP", "API", "Store"}
    assert remote.addresses["Store"] == f"clickhouse://default@{server.addresses['ClickHouse HTTP']}/other"


def test_spans_logs_and_metrics_are_stored_and_calls_priced(
    server: Hub, remote: Hub, remote_exports: Exports, service: str
) -> None:
    remote_exports.send(Signal.TRACES, traces(call(), span(), service=service).SerializeToString())
    remote_exports.send(Signal.LOGS, logs("hello", {"service": service}).SerializeToString())
    remote_exports.send(Signal.METRICS, gauge(service, 2.5).SerializeToString())
    (row,) = server.rows(f"SELECT input_tokens, cost FROM other.llm_calls WHERE service = '{service}'")
    assert row == {"input_tokens": 120, "cost": pytest.approx((120 * 0.15 + 42 * 0.60) / 1e6)}
    assert count(server, f"otel_traces WHERE ServiceName = '{service}'") == 2
    assert count(server, f"otel_logs WHERE LogAttributes['service'] = '{service}'") == 1
    assert count(server, f"otel_metrics_gauge WHERE MetricName = '{service}' AND Value = 2.5") == 1


def test_spans_that_come_again_are_swept(server: Hub, remote: Hub, remote_exports: Exports, service: str) -> None:
    ours = f"WHERE service = '{service}'"
    request = traces(call(), call(), service=service).SerializeToString()
    for again in range(2):
        remote_exports.send(Signal.TRACES, request + b"\x0a\x00" * again)  # other bytes, the same spans
    assert count(server, f"llm_calls {ours}") == 4
    store = open_store(remote.dsn)
    assert Sweep(store).run_once().repeats == 2
    store.close()
    assert count(server, f"llm_calls {ours}") == 2
    assert server.rows(f"SELECT sum(calls) AS calls FROM other.llm_calls_1m {ours}") == [{"calls": 2}]


def test_a_bad_record_is_reported_and_a_bad_request_refused(server: Hub, remote_exports: Exports, service: str) -> None:
    late = span(start_time_unix_nano=2 * SECOND)
    answer = remote_exports.send(Signal.TRACES, traces(span(), late, service=service).SerializeToString())
    assert b"start_time_unix_nano is before 2010-01-01" in answer
    assert count(server, f"otel_traces WHERE ServiceName = '{service}'") == 1
    code, _ = remote_exports.code(Signal.TRACES, traces(span(), service=service).SerializeToString()[:-3])
    assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_query_reads_from_the_server(remote: Hub) -> None:
    assert remote.query("SELECT currentDatabase() AS name").rows() == [{"name": "other"}]
    ran = remote.query("SELECT * FROM nowhere")
    assert ran.code == 1
    assert "(UNKNOWN_TABLE)" in ran.err


def test_without_its_server_it_acknowledges_from_the_spool(server: Hub, remote: Hub, remote_exports: Exports) -> None:
    server.close()
    assert remote_exports.send(Signal.TRACES, traces(span()).SerializeToString()) == b""
    assert until(lambda: remote.metric("llmhub_spool_batches") == 1)
    assert remote.api("/readyz").status == 200
    assert remote.api("/healthz").status == 200
    ran = remote.command("status")
    assert ran.code == 1
    assert "1 batches wait" in ran.out
    assert "the store cannot be asked" in ran.out


def count(server: Hub, source: str) -> int:
    return int(server.rows(f"SELECT count() AS n FROM other.{source}")[0]["n"])
