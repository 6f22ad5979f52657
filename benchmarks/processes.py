"""The processes that are measured, and questions to their store."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from benchmarks.load import Sent, Workload
from benchmarks.result import Limit, Result

ROOT = Path(__file__).resolve().parent.parent
USER = {"X-ClickHouse-User": "bench", "X-ClickHouse-Key": "bench"}
LISTENERS = ("RECEIVERS__OTLP_GRPC", "RECEIVERS__OTLP_HTTP", "STORAGE__CLICKHOUSE_HTTP", "API")
START_SECONDS = 60.0
STANDSTILL_SECONDS = 45.0  # longer than rotel waits between two attempts
MERGE_SECONDS = 60.0
POLL_SECONDS = 0.1
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")

Query = Callable[[str], list[dict[str, Any]]]


class BenchmarkError(Exception):
    """A measurement could not be made; str() says why."""


@dataclass(frozen=True)
class Watched:
    """CPU and memory of a process, out of /proc."""

    name: str
    pid: int

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def rss(self, field: str = "VmRSS") -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))

    def peak_rss(self) -> int:
        return self.rss("VmHWM")


@dataclass(frozen=True)
class Hub:
    """A running hub: where it takes OTLP, and how to ask its store."""

    otlp_grpc: str
    clickhouse_http: str
    process: Watched

    def rows(self, sql: str) -> list[dict[str, Any]]:
        url = f"{self.clickhouse_http}/?{urlencode({'default_format': 'JSONEachRow'})}"
        try:
            with urlopen(Request(url, sql.encode(), USER), timeout=60) as response:
                return [json.loads(line) for line in response.read().splitlines()]
        except HTTPError as error:
            raise BenchmarkError(f"the store refused {sql!r}: {error.read().decode()}") from None


@contextmanager
def running_hub(directory: Path) -> Iterator[Hub]:
    """`llmhub up` with a store of its own and ports that the system picks."""
    settings = {f"{name}__LISTEN": "127.0.0.1:0" for name in LISTENERS} | {
        "STORAGE__DSN": f"chdb://{directory / 'store'}",
        "STORAGE__CLICKHOUSE_HTTP__USERS": "[{name: bench, password: bench, readonly: false}]",
        "COLLECTOR__CANARY_SECONDS": "0",  # a span of the hub's own would be one too many
    }
    environment = os.environ | {f"LLMHUB_{name}": value for name, value in settings.items()}
    with (
        (directory / "hub.log").open("w+") as log,
        _process([sys.executable, "-m", "llmhub", "up"], env=environment, stdout=subprocess.PIPE, stderr=log) as hub,
    ):
        found = _addresses(hub)
        if len(found) < 2:
            raise BenchmarkError(f"the hub did not start: {(directory / 'hub.log').read_text()[-2000:]}")
        yield Hub(found["OTLP gRPC"], found["ClickHouse HTTP"], Watched("hub", hub.pid))


def _addresses(hub: subprocess.Popen[str]) -> dict[str, str]:
    """What `llmhub up` prints, up to its last line."""
    found: dict[str, str] = {}
    assert hub.stdout
    for line in hub.stdout:
        name, address = line[:16].strip(), line[16:].split()[0]
        found[name] = address
        if name == "Store":
            break
    return found


@contextmanager
def running_rotel(hub: Hub, directory: Path, batch_spans: int) -> Iterator[tuple[str, Watched]]:
    """rotel as `pip install rotel` brings it, writing otel_traces of `hub`; its defaults but for the batch size."""
    address, http = _free_address(), _free_address()
    options = {
        "exporter": "clickhouse",
        "batch-max-size": str(batch_spans),
        "otlp-grpc-endpoint": address,
        "otlp-http-endpoint": http,
        "clickhouse-exporter-endpoint": hub.clickhouse_http,
        "clickhouse-exporter-database": "llm",
        "clickhouse-exporter-user": USER["X-ClickHouse-User"],
        "clickhouse-exporter-password": USER["X-ClickHouse-Key"],
    }
    command = [str(rotel_agent()), "start", *(part for key, value in options.items() for part in (f"--{key}", value))]
    log_file = directory / "rotel.log"
    with log_file.open("w") as log, _process(command, stdout=log, stderr=log) as rotel:
        if not _listens(address, rotel):
            raise BenchmarkError(f"rotel did not start: {log_file.read_text()[-2000:]}")
        yield address, Watched("rotel", rotel.pid)


def rotel_agent() -> Path:
    """The agent's binary inside the installed package. Raises BenchmarkError without it."""
    spec = importlib.util.find_spec("rotel")
    if spec is None or not spec.origin:
        raise BenchmarkError("rotel is not installed: pip install --group bench, or --skip-rotel")
    return Path(spec.origin).with_name("rotel-agent")


def rotel_version() -> str:
    told = subprocess.run([rotel_agent(), "--version"], capture_output=True, text=True, check=True)
    return f"{version('rotel')} (says {told.stdout.strip()})"


def _free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def _listens(address: str, process: subprocess.Popen[str]) -> bool:
    host, _, port = address.partition(":")
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection((host, int(port)), 1).close()
            return True
        except OSError:
            time.sleep(POLL_SECONDS)
    return False


@contextmanager
def _process(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, cwd=ROOT, text=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()


class Generator:
    """A load generator process on one target."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def send(self, limit: Limit) -> Sent:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(limit.task()) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise BenchmarkError(f"the load generator ended with code {self._process.wait()}")
        return Sent(**json.loads(answer))


@contextmanager
def generator(target: str, workload: Workload) -> Iterator[Generator]:
    command = [sys.executable, "-m", "benchmarks.load", "--target", target, "--workload", workload.name]
    command += ["--outstanding", str(workload.outstanding)]
    with _process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Generator(process)


@contextmanager
def fresh_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="llmhub-bench-") as name:
        yield Path(name)


def stored_rows(query: Query) -> tuple[int, int]:
    spans, calls = (query(f"SELECT count() AS rows FROM llm.{table}")[0] for table in ("otel_traces", "llm_calls"))
    return int(spans["rows"]), int(calls["rows"])


def wait_for(query: Query, spans: int) -> None:
    """Until that many are stored, and calls of them, or none are added any more: the count that is taken afterwards tells."""
    last, changed = -1, time.monotonic()
    while (now := min(stored_rows(query))) < spans and time.monotonic() - changed < STANDSTILL_SECONDS:
        if now != last:
            last, changed = now, time.monotonic()
        time.sleep(POLL_SECONDS)


def rest(query: Query) -> float:
    """Wait until nothing has merged for a second; returns how long that took, without this second."""
    started = quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < 1 and time.monotonic() - started < MERGE_SECONDS:
        time.sleep(POLL_SECONDS)
        if query("SELECT count() AS merges FROM system.merges")[0]["merges"] not in (0, "0"):
            quiet_since = time.monotonic()
    return quiet_since - started


def measure(
    way: str, workload: Workload, query: Query, processes: Sequence[Watched], send: Callable[[], Sent]
) -> Result:
    """Let everything come to rest, `send`, wait until all of it is stored and merged, and look at the meters."""
    rest(query)
    stored, calls = stored_rows(query)
    used = [process.cpu_seconds() for process in processes]
    started = time.perf_counter()
    sent = send()
    wait_for(query, stored + sent.spans)
    commit_seconds = time.perf_counter() - started
    merge_seconds = rest(query)
    spent = [process.cpu_seconds() - before for process, before in zip(processes, used, strict=True)]
    now, calls_now = stored_rows(query)
    return Result(
        workload=workload.name,
        way=way,
        sent=sent,
        committed=now - stored,
        calls=calls_now - calls,
        commit_seconds=commit_seconds,
        cpu={p.name: seconds * 1e6 / max(1, now - stored) for p, seconds in zip(processes, spent, strict=True)},
        peak_rss={process.name: process.peak_rss() for process in processes},
        disk=disk_bytes(query),
        merge_seconds=merge_seconds,
    )


def disk_bytes(query: Query) -> dict[str, float]:
    """Bytes a span: in otel_traces alone, and in all tables that a span is written to."""
    rows = query(
        "SELECT table, sum(bytes_on_disk) AS bytes FROM system.parts WHERE active AND database = 'llm' "
        "AND (table LIKE 'otel_%' OR table IN ('llm_calls', 'llm_calls_1m', 'llm_events')) GROUP BY table"
    )
    spans = max(1, stored_rows(query)[0])
    bytes_of = {row["table"]: int(row["bytes"]) / spans for row in rows}
    return {"otel_traces": bytes_of.get("otel_traces", 0.0), "all tables": sum(bytes_of.values())}
