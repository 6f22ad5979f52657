"""What does a stored span cost, and how many a second fit: the hub, rotel, the naive way and Native blocks on one engine.

    python benchmarks/ingest.py                      # every workload, every way, 10 s each
    python benchmarks/ingest.py --workload large --seconds 30 --skip-rotel --json result.json

benchmarks/README.md says what is measured and how. Needs Linux (/proc) and the dependency group `bench`.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import multiprocessing
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen
from uuid import uuid4

from benchmarks.load import WORKLOADS, Requests, Sent, Workload
from collector.settings import PipelineSettings
from llmhub.config import Config
from llmhub.hub import prepare_store
from storage.embedded import EmbeddedStore
from storage.store import Store

ROOT = Path(__file__).resolve().parent.parent
USER = {"X-ClickHouse-User": "bench", "X-ClickHouse-Key": "bench"}
LISTENERS = ("RECEIVERS__OTLP_GRPC", "RECEIVERS__OTLP_HTTP", "STORAGE__CLICKHOUSE_HTTP", "API")
START_SECONDS = 60.0
STANDSTILL_SECONDS = 45.0  # longer than rotel waits between two attempts
MERGE_SECONDS = 60.0
POLL_SECONDS = 0.1
NATIVE_BLOCKS = 8
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")

Query = Callable[[str], list[dict[str, Any]]]


class BenchmarkError(Exception):
    """A measurement could not be made; str() says why."""


@dataclass(frozen=True)
class Limit:
    """How long one measurement lasts: `seconds`, or until `spans` are sent if that is not 0.

    `rotel_batch` is the most spans in one of rotel's inserts; 0: as much as the hub may put into one of its own. With a `rate`
    so many spans a second are sent for `seconds`, whatever is answered.
    """

    seconds: float
    spans: int
    rotel_batch: int = 0
    rate: float = 0.0

    def task(self) -> dict[str, float]:
        if self.rate:
            return {"seconds": self.seconds, "rate": self.rate}
        return {"spans": self.spans} if self.spans else {"seconds": self.seconds}

    def warm_up(self) -> Limit:
        return Limit(max(2.0, self.seconds / 4), 0, rate=self.rate)


@dataclass(frozen=True)
class Result:
    """One way on one workload. Times are seconds, latencies milliseconds, CPU microseconds a stored span.

    `cpu` names each process that the way consists of; the load generator is not among them.
    """

    workload: str
    way: str
    sent: Sent
    committed: int
    calls: int
    commit_seconds: float
    cpu: dict[str, float]
    peak_rss: dict[str, int]
    disk: dict[str, float]
    merge_seconds: float
    notes: tuple[str, ...] = ()

    @property
    def cpu_total(self) -> float:
        return sum(self.cpu.values())

    @property
    def problem(self) -> str:
        """What makes the figures worthless, '' if nothing does."""
        if self.sent.failures:
            return f"exports failed: {self.sent.failures}"
        if self.committed != self.sent.spans:
            return f"{self.sent.spans} spans were acknowledged and {self.committed} are in otel_traces"
        if self.calls != self.committed:
            return f"{self.committed} spans are model calls and {self.calls} are in llm_calls"
        return ""


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


def batch_requests(workload: Workload) -> int:
    """Requests in one insert of the other ways: as many as fit into collector.batch_bytes."""
    return max(1, PipelineSettings().batch_bytes // len(next(iter(Requests(workload)))))


def rotel_agent() -> Path:
    """The agent's binary inside the installed package. Raises BenchmarkError without it."""
    spec = importlib.util.find_spec("rotel")
    if spec is None or not spec.origin:
        raise BenchmarkError("rotel is not installed: pip install --group bench, or --skip-rotel")
    return Path(spec.origin).with_name("rotel-agent")


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


def measure_hub(workload: Workload, limit: Limit) -> Result:
    with fresh_directory() as directory, running_hub(directory) as hub, generator(hub.otlp_grpc, workload) as load:
        return _measure("hub", workload, limit, load, hub, [hub.process])


def measure_rotel(workload: Workload, limit: Limit) -> Result:
    batch_spans = limit.rotel_batch or batch_requests(workload) * workload.spans
    with (
        fresh_directory() as directory,
        running_hub(directory) as hub,
        running_rotel(hub, directory, batch_spans) as (address, rotel),
        generator(address, workload) as load,
    ):
        result = _measure("rotel", workload, limit, load, hub, [rotel, replace(hub.process, name="engine")])
        return replace(result, notes=tuple(_complaints(directory / "rotel.log")))


def _complaints(log: Path) -> Iterator[str]:
    """What rotel logged of inserts that it gave up or repeated; the engine's work for them is in its CPU."""
    told = [re.sub(r"\x1b\[\d*m", "", line) for line in log.read_text().splitlines()]
    if retries := sum("will retry" in line for line in told):
        yield f"rotel repeated {retries} inserts, warm-up included: after 5 s it takes one for failed"
    yield from [line for line in told if " ERROR " in line or " WARN " in line][-3:]


def _measure(
    way: str, workload: Workload, limit: Limit, load: Generator, hub: Hub, processes: Sequence[Watched]
) -> Result:
    """Warm up, let everything come to rest, send, wait until all of it is stored and merged, and look at the meters."""
    warm = load.send(limit.warm_up())
    wait_for(hub.rows, warm.spans)
    _rest(hub.rows)
    stored, calls = stored_rows(hub.rows)
    used = [process.cpu_seconds() for process in processes]
    started = time.perf_counter()
    sent = load.send(limit)
    wait_for(hub.rows, stored + sent.spans)
    commit_seconds = time.perf_counter() - started
    merge_seconds = _rest(hub.rows)
    spent = [process.cpu_seconds() - before for process, before in zip(processes, used, strict=True)]
    now, calls_now = stored_rows(hub.rows)
    return Result(
        workload=workload.name,
        way=way,
        sent=sent,
        committed=now - stored,
        calls=calls_now - calls,
        commit_seconds=commit_seconds,
        cpu={p.name: seconds * 1e6 / max(1, now - stored) for p, seconds in zip(processes, spent, strict=True)},
        peak_rss={process.name: process.peak_rss() for process in processes},
        disk=_disk(hub.rows),
        merge_seconds=merge_seconds,
    )


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


def _rest(query: Query) -> float:
    """Wait until nothing has merged for a second; returns how long that took, without this second."""
    started = quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < 1 and time.monotonic() - started < MERGE_SECONDS:
        time.sleep(POLL_SECONDS)
        if query("SELECT count() AS merges FROM system.merges")[0]["merges"] not in (0, "0"):
            quiet_since = time.monotonic()
    return quiet_since - started


def _disk(query: Query) -> dict[str, float]:
    """Bytes a span: in otel_traces alone, and in all tables that a span is written to."""
    rows = query(
        "SELECT table, sum(bytes_on_disk) AS bytes FROM system.parts WHERE active AND database = 'llm' "
        "AND (table LIKE 'otel_%' OR table IN ('llm_calls', 'llm_calls_1m', 'llm_events')) GROUP BY table"
    )
    spans = max(1, stored_rows(query)[0])
    bytes_of = {row["table"]: int(row["bytes"]) / spans for row in rows}
    return {"otel_traces": bytes_of.get("otel_traces", 0.0), "all tables": sum(bytes_of.values())}


def measure_naive(workload: Workload, limit: Limit) -> Result:
    return _apart(_naive, workload, limit)


def measure_native(workload: Workload, limit: Limit) -> Result:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        blocks = pool.apply(native_blocks, (workload,))
    return _apart(_native, workload, limit, blocks)


def _apart(way: Callable[..., None], *arguments: Any) -> Result:
    """In a process of its own, for the engine takes a process's only place, and CPU is read by process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=way, args=(theirs, *arguments))
    process.start()
    theirs.close()
    try:
        result: Result = ours.recv()
    except EOFError:
        raise BenchmarkError("a way that runs in a process of its own failed; its traceback is above") from None
    finally:
        process.join()
    return result


@contextmanager
def _fresh_store() -> Iterator[EmbeddedStore]:
    with fresh_directory() as directory:
        store = prepare_store(Config().with_dsn(f"chdb://{directory / 'store'}"))
        assert isinstance(store, EmbeddedStore)
        try:
            yield store
        finally:
            store.close()


def _naive(answer: Connection, workload: Workload, limit: Limit) -> None:
    """Everything is decoded and stored; only receiving it over gRPC is spared."""
    supply, requests = iter(Requests(workload)), batch_requests(workload)
    with _fresh_store() as store:
        batches = (list(islice(supply, requests)) for _ in itertools.count())
        answer.send(_measure_inserts("naive", workload, limit, batches, partial(_insert_json, store), store.rows))


def _insert_json(store: Store, batch: Sequence[bytes]) -> None:
    store.insert("otel_traces", _json_rows(batch), fmt="JSONEachRow")


def native_blocks(workload: Workload) -> list[bytes]:
    """What `otel_traces` holds of NATIVE_BLOCKS batches, an insert each."""
    supply, requests, blocks = iter(Requests(workload)), batch_requests(workload), []
    with _fresh_store() as store:
        for _ in range(NATIVE_BLOCKS):
            _insert_json(store, list(islice(supply, requests)))
            blocks.append(store.query("SELECT * FROM otel_traces", fmt="Native"))
            store.execute("TRUNCATE TABLE otel_traces")
    return blocks


def _native(answer: Connection, workload: Workload, limit: Limit, blocks: Sequence[bytes]) -> None:
    with _fresh_store() as store:
        batches = ([block] for block in itertools.cycle(blocks))
        answer.send(_measure_inserts("native", workload, limit, batches, partial(_insert_native, store), store.rows))


def _insert_native(store: Store, batch: Sequence[bytes]) -> None:
    """A block comes again after NATIVE_BLOCKS others, so it must not be taken for a repetition."""
    store.insert("otel_traces", b"".join(batch), fmt="Native", settings={"insert_deduplication_token": uuid4().hex})


def _measure_inserts(
    way: str,
    workload: Workload,
    limit: Limit,
    batches: Iterator[Sequence[bytes]],
    insert: Callable[[Sequence[bytes]], None],
    query: Query,
) -> Result:
    process, requests = Watched(way, os.getpid()), batch_requests(workload)

    def store(batch: Sequence[bytes]) -> float:
        """Returns the CPU seconds; making up the batch is not counted."""
        used = process.cpu_seconds()
        insert(batch)
        return process.cpu_seconds() - used

    store(next(batches))
    _rest(query)
    stored, calls = stored_rows(query)
    sent, cpu = Sent(), 0.0
    while sent.seconds < limit.seconds and not 0 < limit.spans <= sent.spans:
        batch = next(batches)
        started = time.perf_counter()
        cpu += store(batch)
        sent.seconds += time.perf_counter() - started
        sent.requests += requests
        sent.spans += requests * workload.spans
        sent.bytes += sum(map(len, batch))
    used = process.cpu_seconds()
    merge_seconds = _rest(query)
    cpu += process.cpu_seconds() - used
    now, calls_now = stored_rows(query)
    return Result(
        workload=workload.name,
        way=way,
        sent=sent,
        committed=now - stored,
        calls=calls_now - calls,
        commit_seconds=sent.seconds,
        cpu={way: cpu * 1e6 / (now - stored)},
        peak_rss={way: process.peak_rss()},
        disk=_disk(query),
        merge_seconds=merge_seconds,
    )


def _json_rows(batch: Sequence[bytes]) -> bytes:
    """Rows of otel_traces, as one writes them who decodes OTLP with the generated classes."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    lines = []
    for body in batch:
        for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _map(resource_spans.resource.attributes)
            for scope_spans in resource_spans.scope_spans:
                scope = scope_spans.scope
                lines += [json.dumps(_row(span, resource, scope)) for span in scope_spans.spans]
    return "\n".join(lines).encode()


def _row(span: Any, resource: dict[str, str], scope: Any) -> dict[str, Any]:
    return {
        "Timestamp": _timestamp(span.start_time_unix_nano),
        "TraceId": span.trace_id.hex(),
        "SpanId": span.span_id.hex(),
        "ParentSpanId": span.parent_span_id.hex(),
        "TraceState": span.trace_state,
        "SpanName": span.name,
        "SpanKind": ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")[span.kind],
        "ServiceName": resource.get("service.name", ""),
        "ResourceAttributes": resource,
        "ScopeName": scope.name,
        "ScopeVersion": scope.version,
        "SpanAttributes": _map(span.attributes),
        "Duration": span.end_time_unix_nano - span.start_time_unix_nano,
        "StatusCode": ("Unset", "Ok", "Error")[span.status.code],
        "StatusMessage": span.status.message,
        "Events.Timestamp": [_timestamp(event.time_unix_nano) for event in span.events],
        "Events.Name": [event.name for event in span.events],
        "Events.Attributes": [_map(event.attributes) for event in span.events],
        "Links.TraceId": [link.trace_id.hex() for link in span.links],
        "Links.SpanId": [link.span_id.hex() for link in span.links],
        "Links.TraceState": [link.trace_state for link in span.links],
        "Links.Attributes": [_map(link.attributes) for link in span.links],
    }


def _timestamp(nanoseconds: int) -> str:
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09d}"


def _map(attributes: Any) -> dict[str, str]:
    return {attribute.key: _text(attribute.value) for attribute in attributes}


def _text(value: Any) -> str:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return str(value.string_value)
    if kind == "bool_value":
        return "true" if value.bool_value else "false"
    if kind == "array_value":
        return json.dumps([_text(item) for item in value.array_value.values])
    return str(getattr(value, kind)) if kind else ""


@contextmanager
def fresh_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="llmhub-bench-") as name:
        yield Path(name)


WAYS = {"hub": measure_hub, "rotel": measure_rotel, "naive": measure_naive, "native": measure_native}


def environment() -> dict[str, str]:
    """What the figures depend on beside the code."""
    names = ("chdb", "chdb-core", "grpcio", "protobuf")
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": processor[1] if processor else platform.machine(),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def rotel_version() -> str:
    told = subprocess.run([rotel_agent(), "--version"], capture_output=True, text=True, check=True)
    return f"{version('rotel')} (says {told.stdout.strip()})"


def heading(facts: dict[str, str], limit: Limit) -> str:
    length = f"{limit.spans} spans" if limit.spans else f"{limit.seconds:g} s"
    return ", ".join(f"{name} {value}" for name, value in facts.items()) + f"\n{length} a measurement"


def lines(result: Result) -> Iterator[str]:
    sent, disk = result.sent, result.disk
    size = f"{sent.spans:,} spans, {sent.bytes / 1e6:,.0f} MB"
    yield f"  {result.way}" + (f"   NOT VALID: {result.problem}" if result.problem else "")
    yield _line("acknowledged", f"{sent.spans / sent.seconds:,.0f}", "spans/s", size)
    yield _line(
        "committed", f"{result.committed / result.commit_seconds:,.0f}", "spans/s", f"{result.committed:,} counted"
    )
    yield _line("CPU", f"{result.cpu_total:.1f}", "us/span", _sum({k: f"{v:.1f}" for k, v in result.cpu.items()}))
    if result.way not in ("naive", "native"):
        yield _line("ack latency", f"{sent.latency_p50:,.0f}", "ms p50", f"{sent.latency_p99:,.0f} ms p99")
        cpu = sent.cpu_seconds * 1e6 / max(1, sent.spans)
        yield _line("generator", f"{cpu:.1f}", "us/span", "not in the CPU above")
    memory = {name: f"{value / 1e6:,.0f}" for name, value in result.peak_rss.items()}
    yield _line("peak RSS", f"{sum(result.peak_rss.values()) / 1e6:,.0f}", "MB", _sum(memory))
    yield from (f"    {note}" for note in result.notes)
    yield _line("on disk", f"{disk['all tables']:.0f}", "bytes/span", f"otel_traces {disk['otel_traces']:.0f}")


def _line(name: str, figure: str, unit: str, note: str) -> str:
    return f"    {name:<13}{figure:>10} {unit:<11}({note})"


def _sum(parts: dict[str, str]) -> str:
    return " + ".join(f"{name} {part}" for name, part in parts.items())


def ratios(results: Sequence[Result]) -> str:
    """CPU of the other ways in multiples of the hub's; '' when there is nothing to compare."""
    hub = next((result for result in results if result.way == "hub"), None)
    others = [result for result in results if result.way != "hub"]
    if hub is None or not others:
        return ""
    told = ", ".join(f"{result.way} {result.cpu_total / hub.cpu_total:.2f}" for result in others)
    return f"  CPU a stored span in multiples of the hub's: {told}"


def run(workload: Workload, limit: Limit, ways: Sequence[str]) -> list[Result]:
    size = f", {workload.prompt_bytes} byte prompts" if workload.prompt_bytes else ""
    print(f"\n{workload.name}: {workload.spans} spans a request{size}, {workload.outstanding} requests under way")
    results = []
    for way in ways:
        results.append(WAYS[way](workload, limit))
        print("\n".join(lines(results[-1])), flush=True)
    print(ratios(results), flush=True)
    return results


def write_json(path: Path, facts: dict[str, str], results: Sequence[Result]) -> None:
    told = [asdict(result) | {"cpu_total": result.cpu_total, "problem": result.problem} for result in results]
    path.write_text(json.dumps({"environment": facts, "results": told}, indent=1) + "\n")


def main() -> int:
    arguments = _arguments()
    limit = Limit(arguments.seconds, arguments.spans, arguments.rotel_batch, arguments.rate)
    ways = [way for way in WAYS if not getattr(arguments, f"skip_{way}")]
    facts = environment() | ({"rotel": rotel_version()} if "rotel" in ways else {})
    print(heading(facts, limit))
    results: list[Result] = []
    for name in arguments.workload or WORKLOADS:
        workload = WORKLOADS[name]
        workload = replace(workload, outstanding=arguments.outstanding or workload.outstanding)
        results += run(workload, limit, ways)
    if arguments.json:
        write_json(arguments.json, facts, results)
    return 1 if any(result.problem for result in results) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workload", action="append", choices=list(WORKLOADS), help="may be repeated; default: all")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of one measurement")
    parser.add_argument("--spans", type=int, default=0, help="send that many instead of --seconds")
    parser.add_argument(
        "--rate", type=float, default=0.0, help="spans a second, whatever is answered; not for naive, native"
    )
    parser.add_argument("--outstanding", type=int, default=0, help="requests under way; default: as the workload says")
    parser.add_argument("--rotel-batch", type=int, default=0, help="spans in rotel's inserts; default: as the hub's")
    for way in WAYS:
        parser.add_argument(f"--skip-{way}", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BenchmarkError, URLError) as error:
        sys.exit(f"benchmark: {error}")
