"""Several processes on one set of ports, in front of a server. Another hub's ClickHouse interface stands in for the server."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
import urllib3

from collector.signals import Signal
from tests.collector.requests import span, traces
from tests.hub.conftest import copy_store
from tests.hub.process import PROTOBUF, Hub, llmhub, until
from tests.hub.test_shutdown import SENDERS, Load

WORKERS = {"receivers.workers": "2", "telemetry.log_format": "text"}
USERS = {"storage.clickhouse_http.users": "[{name: default, readonly: false}]"}
ONE_PROCESS = {"receivers.workers": "1"}
StartWorkers = Callable[..., Hub]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, prepared_store: Path) -> Iterator[Hub]:
    directory = tmp_path_factory.mktemp("server")
    copy_store(prepared_store, directory)
    running = Hub(directory, USERS)
    yield running
    running.close()


def start(server: Hub, directory: Path, settings: Mapping[str, str] | None = None) -> Hub:
    return Hub(directory, {**WORKERS, **(settings or {})}, dsn=dsn(server))


@pytest.fixture(scope="module")
def workers(server: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """The hub that the tests share that leave it running."""
    running = start(server, tmp_path_factory.mktemp("workers"))
    yield running
    running.close()


@pytest.fixture
def start_workers(server: Hub, tmp_path: Path) -> Iterator[StartWorkers]:
    started: list[Hub] = []

    def run(settings: Mapping[str, str] | None = None) -> Hub:
        started.append(start(server, tmp_path, settings))
        return started[-1]

    yield run
    for running in started:
        running.close()


def test_both_workers_serve_the_same_ports_and_store_everything_once(server: Hub, workers: Hub, service: str) -> None:
    acknowledged = send_until_both_have_some(workers, service)
    assert until(lambda: stored(server, service) == Counter(acknowledged))
    assert workers.api("/readyz").json() == {"ready": True, "problems": {}}


def test_status_sums_the_ledgers_and_has_a_report_of_each_worker(workers: Hub, service: str) -> None:
    send_until_both_have_some(workers, service)
    report = json.loads(workers.api("/status").data)
    assert (report["balanced"], list(report["workers"])) == (True, ["worker-0", "worker-1"])
    each = [sum(row["acknowledged"] for row in part["ledger"]) for part in report["workers"].values()]
    assert min(each) > 0
    assert sum(row["acknowledged"] for row in report["ledger"]) == sum(each)
    asked = workers.command("status", "--json")
    assert json.loads(asked.out)["ledger"] == report["ledger"]

    shown = workers.command("status")
    assert (shown.code, shown.out.count("Requests since"), shown.out.count("The ledger balances.")) == (0, 1, 1)
    assert f"{sum(each):,}" in shown.out
    assert all(shown.out.count(name) == 1 for name in ("worker-0", "worker-1"))
    examined = workers.command("doctor")
    assert examined.code == 0, examined.out
    assert all(f"{name}: what was received is stored" in examined.out for name in ("worker-0", "worker-1"))


def test_metrics_tell_the_workers_apart(workers: Hub) -> None:
    assert [workers.metric("llmhub_workers_up", worker=str(number)) for number in range(2)] == [1, 1]
    names = {dict(labels).get("worker") for name, labels in workers.metrics() if name == "process_cpu_seconds_total"}
    assert names == {"0", "1", "supervisor"}


@pytest.mark.parametrize("number", ["1", "2"], ids=["one process", "two processes"])
@pytest.mark.parametrize(("name", "setting"), [("OTLP gRPC", "receivers.otlp_grpc.listen"), ("API", "api.listen")])
def test_another_hub_does_not_slip_onto_their_ports(
    server: Hub, workers: Hub, tmp_path: Path, name: str, setting: str, number: str
) -> None:
    address = workers.addresses[name]
    ran = llmhub(tmp_path, "--store", dsn(server), "up", settings={"receivers.workers": number, setting: address})
    assert ran.code == 1
    assert ran.err.startswith(f"llmhub: {setting}: cannot listen on {address}: Address already in use. ")


def test_why_the_workers_cannot_start_is_told_once(server: Hub, tmp_path: Path) -> None:
    files = {f"receivers.otlp_grpc.tls_{name}_file": "nowhere.pem" for name in ("cert", "key")}
    ran = llmhub(tmp_path, "--store", dsn(server), "up", settings={**WORKERS, **files})
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines()[0].startswith("llmhub: receivers.otlp_grpc.tls_cert_file: cannot read ")
    assert ran.err.count("cannot read") == 1


def test_a_worker_killed_under_load_is_started_again_and_nothing_acknowledged_is_lost(
    server: Hub, workers: Hub, service: str
) -> None:
    with workers.channel() as channel:
        load = Load(workers, channel, service)
        assert until(lambda: len(load.acknowledged) > 10 * SENDERS, seconds=20)
        os.kill(processes(workers)[0], signal.SIGKILL)
        before = len(load.acknowledged)
        assert until(lambda: restarts(workers) == 1 and workers.api("/readyz").status == 200, seconds=30)
        assert until(lambda: len(load.acknowledged) > before + 10 * SENDERS, seconds=20)
        load.stop()
    assert until(lambda: load.acknowledged <= set(stored(server, service)), seconds=20)
    assert until(lambda: summed(workers, "llmhub_spool_batches") == 0, seconds=20)
    assert max(stored(server, service).values()) == 1
    assert summed(workers, "llmhub_ledger_imbalance") == 0


def test_sigterm_ends_all_workers_in_order_and_in_time(server: Hub, start_workers: StartWorkers, service: str) -> None:
    hub = start_workers()
    pids = processes(hub)
    with hub.channel() as channel:
        load = Load(hub, channel, service)
        assert until(lambda: len(load.acknowledged) > 10 * SENDERS, seconds=20)
        started = time.monotonic()
        hub.terminate()
        code = hub.wait()
        seconds = time.monotonic() - started
        load.stop()
    assert code == 0, hub.log
    assert seconds < 20  # shutdown_seconds
    assert not any(map(is_alive, pids))
    assert load.acknowledged <= set(stored(server, service))
    lines = hub.log.splitlines()
    assert any(line.endswith("worker 1 llmhub.hub: stopping") for line in lines)
    assert [line for line in lines if not re.match(r"\d{4}-\d\d-\d\d \S+ [A-Z]+ +(worker \d )?[\w.]+: ", line)] == []


def test_without_their_parent_workers_end_and_another_hub_can_take_over(start_workers: StartWorkers) -> None:
    first = start_workers()
    pids = processes(first)
    first.process.kill()
    first.wait()
    assert until(lambda: not any(map(is_alive, pids)), seconds=25)
    assert start_workers().api("/readyz").status == 200


def test_fewer_workers_store_what_the_others_acknowledged_while_the_store_was_away(
    directory: Path, tmp_path_factory: pytest.TempPathFactory, service: str
) -> None:
    own = tmp_path_factory.mktemp("hub")
    with closing(Hub(directory, USERS)) as server, closing(start(server, own, {"collector.ack_seconds": "0.3"})) as hub:
        address = {"storage.clickhouse_http.listen": server.addresses["ClickHouse HTTP"]}
        server.close()
        acknowledged = send_until_both_have_some(hub, service)
        os.kill(processes(hub)[1], signal.SIGKILL)
        # Without its store it cannot start, but it is not given up.
        assert until(lambda: "a worker cannot start" in hub.log, seconds=20)
        told = [json.loads(hub.api("/status").data), json.loads(hub.command("status", "--json").out)]
        assert [report["balanced"] for report in told] == [None, None]  # nor can the store be asked
        assert all(
            any(text.startswith("worker-1: it does not serve") for text in report["problems"]) for report in told
        )
        assert "worker-1: it does not serve" in hub.command("status").out
        examined = hub.command("doctor").out
        assert "it is started again by itself" in examined
        assert "llmhub up\n" not in examined
    with closing(Hub(directory, {**USERS, **address})) as server, closing(start(server, own, ONE_PROCESS)) as hub:
        assert until(lambda: stored(server, service) == Counter(acknowledged), seconds=20)
        assert hub.metric("llmhub_ledger_imbalance") == 0


def dsn(server: Hub) -> str:
    return f"clickhouse://default@{server.addresses['ClickHouse HTTP']}/llm"


def send_until_both_have_some(hub: Hub, service: str) -> list[str]:
    """Send spans, each over a connection of its own, until each worker has acknowledged one; returns their names."""
    names: list[str] = []
    url = f"{hub.url('OTLP HTTP')}/v1/{Signal.TRACES}"
    for number in range(100):
        name = f"span-{number}"
        body = traces(span(name=name), service=service).SerializeToString()
        answer = urllib3.request("POST", url, body=body, headers={**PROTOBUF, "Connection": "close"}, retries=False)
        assert answer.status == 200, answer.data
        names.append(name)
        if all(acknowledged_by(hub, worker) for worker in ("0", "1")):
            return names
    raise AssertionError(f"one worker got all connections: {hub.log}")


def acknowledged_by(hub: Hub, worker: str) -> float:
    labels = {"tenant": "default", "signal": "traces", "entry": "acknowledged", "worker": worker}
    return hub.metric("llmhub_ledger_requests_total", **labels)


def stored(server: Hub, service: str) -> Counter[str]:
    """Span names by how often they are in otel_traces."""
    sql = f"SELECT SpanName, count() AS n FROM otel_traces WHERE ServiceName = '{service}' GROUP BY 1"
    return Counter({row["SpanName"]: int(row["n"]) for row in server.rows(sql)})


def summed(hub: Hub, metric: str) -> float:
    return sum(value for (name, _), value in hub.metrics().items() if name == metric)


def restarts(hub: Hub) -> float:
    return summed(hub, "llmhub_workers_restarts_total")


def processes(hub: Hub) -> list[int]:
    pid = hub.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
