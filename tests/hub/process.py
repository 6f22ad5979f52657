"""A hub as its users have it: a process of its own, used through its public ports and its command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import grpc
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from collector.signals import Signal
from receivers.otlp_grpc import SERVICES

START_SECONDS = 60.0
PROTOBUF = {"Content-Type": "application/x-protobuf"}
LISTENERS = {
    "receivers.otlp_grpc.listen": "OTLP gRPC",
    "receivers.otlp_http.listen": "OTLP HTTP",
    "storage.clickhouse_http.listen": "ClickHouse HTTP",
    "api.listen": "API",
}
USERS = "[{name: default}, {name: writer, password: secret, readonly: false}]"


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str

    def rows(self) -> list[dict[str, Any]]:
        assert self.code == 0, self.err
        return [json.loads(line) for line in self.out.splitlines()]


def variable(setting: str) -> str:
    """The environment variable of a setting such as api.listen."""
    return "LLMHUB_" + setting.upper().replace(".", "__")


def environment(settings: Mapping[str, str], directory: Path) -> dict[str, str]:
    """This process's environment with `settings`, free ports and nothing of the user's own hub."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LLMHUB_", "OTEL_"))}
    free_ports = dict.fromkeys(LISTENERS, "127.0.0.1:0")
    given = {variable(name): value for name, value in {**free_ports, **settings}.items()}
    return {**inherited, "XDG_DATA_HOME": str(directory / "data"), "COLUMNS": "200", **given}


def llmhub(directory: Path, *arguments: str | Path, settings: Mapping[str, str] | None = None) -> Ran:
    """Run one command to its end, in `directory`."""
    done = subprocess.run(
        [sys.executable, "-m", "llmhub", *map(str, arguments)],
        cwd=directory,
        env=environment(settings or {}, directory),
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def until(condition: Callable[[], Any], seconds: float = 5.0) -> Any:
    """The first true answer of `condition`, or its last one when the time is over."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


class Hub:
    """A running `llmhub up` in `directory`; `addresses` are what it printed, 'host:port' by name."""

    def __init__(self, directory: Path, settings: Mapping[str, str] | None = None, *, dsn: str = "") -> None:
        self.directory = directory
        self.dsn = dsn or f"chdb://{directory / 'store'}"
        # No spans but those of the tests.
        self.settings = {"storage.clickhouse_http.users": USERS, "collector.canary_seconds": "0", **(settings or {})}
        self._http = urllib3.PoolManager(maxsize=64, retries=False, timeout=60.0)
        self._out = directory / "out.txt"
        self._err = directory / "hub.log"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "llmhub", "--store", self.dsn, "up"],
                cwd=directory,
                env=environment(self.settings, directory),
                stdout=out,
                stderr=err,
            )
        self.addresses = self._wait_for_addresses()

    @property
    def log(self) -> str:
        return self._err.read_text()

    def url(self, name: str) -> str:
        return f"http://{self.addresses[name]}"

    def channel(self) -> grpc.Channel:
        return grpc.insecure_channel(self.addresses["OTLP gRPC"])

    def post(self, signal: Signal, body: bytes, headers: Mapping[str, str] = PROTOBUF) -> urllib3.BaseHTTPResponse:
        return self._http.request("POST", f"{self.url('OTLP HTTP')}/v1/{signal}", body=body, headers=headers)

    def api(self, path: str) -> urllib3.BaseHTTPResponse:
        return self._http.request("GET", f"{self.url('API')}{path}")

    def clickhouse(self, sql: str, data: bytes = b"", user: str = "default:") -> urllib3.BaseHTTPResponse:
        """One request to the ClickHouse port: `sql` in the URL, `data` in the body."""
        parameters = urlencode({"query": sql, "default_format": "JSONEachRow", "database": "llm"})
        url = f"{self.url('ClickHouse HTTP')}/?{parameters}"
        return self._http.request("POST", url, body=data, headers=urllib3.make_headers(basic_auth=user))

    def rows(self, sql: str) -> list[dict[str, Any]]:
        response = self.clickhouse(sql)
        assert response.status == 200, response.data
        return [json.loads(line) for line in response.data.splitlines()]

    def count(self, table: str, service: str) -> int:
        column = "ServiceName" if table.startswith("otel_") else "service"
        return int(self.rows(f"SELECT count() AS n FROM {table} WHERE {column} = '{service}'")[0]["n"])

    def metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Every sample of /metrics, by name and labels."""
        families = text_string_to_metric_families(self.api("/metrics").data.decode())
        return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics().get((name, frozenset(labels.items())), 0.0)

    def query(self, sql: str) -> Ran:
        """`llmhub query` on the hub's store, whether the hub runs or not."""
        return llmhub(
            self.directory, "query", sql, "--store", self.dsn, "--format", "JSONEachRow", settings=self.settings
        )

    def command(self, *arguments: str | Path) -> Ran:
        """A command on the hub's store and spool, whether the hub runs or not."""
        return llmhub(self.directory, *arguments, "--store", self.dsn, settings=self.settings)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = 25.0) -> int:
        return self.process.wait(seconds)

    def close(self) -> None:
        """Stop the hub if it still runs; it has to go in order."""
        self._http.clear()
        if self.process.poll() is None:
            self.terminate()
            try:
                assert self.wait() == 0, self.log
            finally:
                self.process.kill()

    def _wait_for_addresses(self) -> dict[str, str]:
        deadline = time.monotonic() + START_SECONDS
        while "\nStore " not in (printed := self._out.read_text()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"the hub did not start: {printed}{self.log}")
            time.sleep(0.02)
        lines = [line.split("  ") for line in printed.splitlines()]
        cells = [[cell.strip() for cell in line if cell] for line in lines]
        return {name: address.removeprefix("http://") for name, address, *_ in cells}


class Exports:
    """The Export methods of a hub's gRPC port, taking and giving bytes."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._methods: dict[Signal, grpc.UnaryUnaryMultiCallable[bytes, bytes]] = {
            signal: channel.unary_unary(f"/{name}/Export") for signal, name in SERVICES.items()
        }

    def send(self, signal: Signal, body: bytes) -> bytes:
        """Raises grpc.RpcError."""
        return self._methods[signal](body, timeout=30)

    def start(self, signal: Signal, body: bytes) -> grpc.Future[bytes]:
        return self._methods[signal].future(body, timeout=60)

    def code(self, signal: Signal, body: bytes) -> tuple[grpc.StatusCode, str]:
        """Code and text of the answer."""
        answer = self.start(signal, body)
        error = answer.exception()
        return (error.code(), error.details() or "") if isinstance(error, grpc.RpcError) else (grpc.StatusCode.OK, "")
