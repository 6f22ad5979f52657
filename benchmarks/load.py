"""The load generator of benchmarks/ingest.py: OTLP traces over gRPC from requests that are encoded beforehand.

    python benchmarks/load.py --target 127.0.0.1:4317 --workload large

Reads one JSON object a line, {"seconds": 10} or {"spans": 100000}, sends until then, waits for what is under
way, and answers with the fields of `Sent` as one line of JSON. With {"seconds": 10, "rate": 20000} it sends so many spans a
second, whatever is answered, and tells latencies from the moment at which a request was due.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import numpy.typing as npt
import uvloop
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.clients.grpc_sender import GrpcSender, connect

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
# Requests differ in more than their ids, so that neither compression nor a dictionary sees the same values again.
PREPARED_SPANS = 8192
RESPONSE_ID = "chatcmpl-" + "~" * 29
BACK_OFF_SECONDS = 0.2
CONNECTIONS = 4

Indexes = npt.NDArray[np.intp]
Bytes = npt.NDArray[np.uint8]

_TRACE_ID, _SPAN_ID = b"\xf1" * 16, b"\xf2" * 8
_START, _END = (int.from_bytes(bytes([mark]) * 8, "little") for mark in (0xF3, 0xF4))
_ALPHABET = np.frombuffer(b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefgh", np.uint8)
_SERVICES = [f"{name}-{tier}" for name in ("assistant", "search", "triage", "summary") for tier in ("api", "worker")]
_MODELS = [
    ("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    ("openai", "gpt-4.1", "gpt-4.1-2025-04-14"),
    ("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
    ("gcp.gemini", "gemini-2.5-flash", "gemini-2.5-flash"),
]
_WORDS = """
    the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which
    one you were all her she there would their we him been has when who will no more if out so up said what its about
    than into them can only other time new some could these two may first then do any like my now over such our man
    invoice customer refund account error timeout region deploy latency schema contract policy summary ticket order
    please explain compare translate extract review classify rewrite describe following document table paragraph
""".split()  # noqa: SIM905


@dataclass(frozen=True)
class Workload:
    """`outstanding` requests are under way at any time; more are needed where a request is small, because
    each is answered only after its batch is committed."""

    name: str
    spans: int
    prompt_bytes: int
    outstanding: int


WORKLOADS = {
    workload.name: workload
    for workload in (Workload("large", 512, 0, 192), Workload("prompts", 512, 2048, 64), Workload("small", 8, 0, 1024))
}


@dataclass
class Sent:
    """`seconds` run from the first request to the last answer, `latencies` are in milliseconds."""

    requests: int = 0
    spans: int = 0
    bytes: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    latency_p50: float = 0.0
    latency_p99: float = 0.0
    failures: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Template:
    """An encoded request and where in it the ids, times and response ids are."""

    body: Bytes
    ids: Indexes
    times: Indexes
    texts: Indexes
    durations: npt.NDArray[np.uint64]

    def fill(self) -> bytes:
        """The request with new ids and with times that end now."""
        body, count = self.body, len(self.durations)
        body[self.ids] = np.frombuffer(os.urandom(len(self.ids)), np.uint8)
        body[self.texts] = _ALPHABET[np.frombuffer(os.urandom(len(self.texts)), np.uint8) & 31]
        starts = np.uint64(time.time_ns()) - self.durations + np.arange(count, dtype=np.uint64)
        body[self.times] = np.stack([starts, starts + self.durations], axis=1).astype("<u8").view(np.uint8).ravel()
        return body.tobytes()


class Requests:
    """An endless supply of requests of one workload, no two with the same ids."""

    def __init__(self, workload: Workload) -> None:
        chance = random.Random(workload.name)
        templates = [_template(workload, chance) for _ in range(PREPARED_SPANS // workload.spans)]
        self._templates = itertools.cycle(templates)

    def __iter__(self) -> Iterator[bytes]:
        return (template.fill() for template in self._templates)


def _template(workload: Workload, chance: random.Random) -> Template:
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    service = chance.choice(_SERVICES)
    resource_spans.resource.attributes.extend(
        _attribute(key, value)
        for key, value in (
            ("service.name", service),
            ("service.version", "2.11.0"),
            ("deployment.environment.name", "production"),
            ("host.name", f"{service}-{chance.randrange(1 << 32):08x}"),
            ("telemetry.sdk.language", "python"),
            ("telemetry.sdk.name", "opentelemetry"),
        )
    )
    scope = resource_spans.scope_spans.add()
    scope.scope.name, scope.scope.version = "opentelemetry.instrumentation.openai_v2", "2.3b0"
    scope.spans.extend(_span(workload, chance) for _ in range(workload.spans))
    durations = [int(chance.lognormvariate(0.3, 0.8) * 1e9) for _ in range(workload.spans)]
    return _locate(request.SerializeToString(), np.array(durations, np.uint64))


def _span(workload: Workload, chance: random.Random) -> Span:
    provider, model, response_model = chance.choice(_MODELS)
    tokens = int(chance.lognormvariate(7, 1))
    values: dict[str, str | int | float | bool | list[str]] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "gen_ai.response.model": response_model,
        "gen_ai.response.id": RESPONSE_ID,
        "gen_ai.response.finish_reasons": [chance.choice(("stop", "stop", "stop", "length", "tool_calls"))],
        "gen_ai.request.temperature": chance.choice((0.0, 0.2, 0.7, 1.0)),
        "gen_ai.request.max_tokens": chance.choice((512, 1024, 4096)),
        "gen_ai.usage.input_tokens": tokens,
        "gen_ai.usage.output_tokens": int(chance.lognormvariate(5, 1)),
        "gen_ai.usage.cache_read.input_tokens": tokens // 2,
        "gen_ai.output.type": "text",
        "gen_ai.conversation.id": f"conv-{chance.randrange(20_000):05d}",
        "user.id": f"user-{chance.randrange(5_000):04d}",
        "server.address": f"api.{provider}.com",
        "server.port": 443,
    }
    if workload.prompt_bytes:
        values["gen_ai.input.messages"] = _prompt(workload.prompt_bytes, chance)
    return Span(
        trace_id=_TRACE_ID,
        span_id=_SPAN_ID,
        name=f"chat {model}",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=_START,
        end_time_unix_nano=_END,
        attributes=[_attribute(key, value) for key, value in values.items()],
    )


def _prompt(size: int, chance: random.Random) -> str:
    words = " ".join(chance.choices(_WORDS, k=size // 4))
    message = [{"role": "user", "parts": [{"type": "text", "content": words[: size - 70]}]}]
    return json.dumps(message)


def _attribute(key: str, value: str | int | float | bool | list[str]) -> KeyValue:
    if isinstance(value, list):
        texts = ArrayValue(values=[AnyValue(string_value=text) for text in value])
        return KeyValue(key=key, value=AnyValue(array_value=texts))
    if isinstance(value, bool):
        return KeyValue(key=key, value=AnyValue(bool_value=value))
    if isinstance(value, int):
        return KeyValue(key=key, value=AnyValue(int_value=value))
    if isinstance(value, float):
        return KeyValue(key=key, value=AnyValue(double_value=value))
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _locate(body: bytes, durations: npt.NDArray[np.uint64]) -> Template:
    ids: list[int] = []
    times: list[int] = []
    texts: list[int] = []
    at = 0
    for _ in durations:
        for mark, places in (
            (_TRACE_ID, ids),
            (_SPAN_ID, ids),
            (_START.to_bytes(8, "little"), times),
            (_END.to_bytes(8, "little"), times),
            (b"~" * 29, texts),
        ):
            start = body.index(mark, at)
            at = start + len(mark)
            places.extend(range(start, at))
    writable = np.frombuffer(bytearray(body), np.uint8)
    return Template(writable, np.array(ids), np.array(times), np.array(texts), durations)


class Sender:
    """Keeps `outstanding` requests under way."""

    def __init__(self, connections: Sequence[GrpcSender], workload: Workload, outstanding: int) -> None:
        self._connections = itertools.cycle(connections)
        self._bodies = iter(Requests(workload))
        self._spans = workload.spans
        self._outstanding = outstanding

    async def send(self, seconds: float, spans: int) -> Sent:
        """Until `seconds` are over or `spans` are sent, whichever is first. An export that fails is not repeated."""
        sent, latencies, failures = Sent(), list[float](), Counter[str]()
        started, used = time.perf_counter(), _cpu_seconds()
        end = started + seconds

        async def keep_sending() -> None:
            while time.perf_counter() < end and sent.requests * self._spans < spans:
                body = next(self._bodies)
                sent.requests += 1
                if failure := await self._send(body, latencies):
                    failures[failure] += 1
                    await asyncio.sleep(BACK_OFF_SECONDS)
                    continue
                sent.spans += self._spans
                sent.bytes += len(body)

        await asyncio.gather(*(keep_sending() for _ in range(self._outstanding)))
        return _summed_up(sent, latencies, failures, started, used)

    async def send_at_rate(self, seconds: float, rate: float) -> Sent:
        """`rate` spans a second for `seconds`; what is under way at the end is waited for, and counted."""
        sent, latencies, failures = Sent(), list[float](), Counter[str]()
        started, used = time.perf_counter(), _cpu_seconds()
        under_way: set[asyncio.Task[None]] = set()

        async def send_one(body: bytes, due: float) -> None:
            if failure := await self._send(body, latencies, due):
                failures[failure] += 1
            else:
                sent.spans += self._spans
                sent.bytes += len(body)

        while (due := started + sent.requests * self._spans / rate) < started + seconds:
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            sent.requests += 1
            task = asyncio.create_task(send_one(next(self._bodies), due))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)
        return _summed_up(sent, latencies, failures, started, used)

    async def _send(self, body: bytes, latencies: list[float], due: float = 0.0) -> str:
        """'' when everything in `body` was acknowledged, else what went wrong. The latency counts from `due`, 0: from now."""
        started = due or time.perf_counter()
        failure = await next(self._connections).send(body)
        if not failure:
            latencies.append(time.perf_counter() - started)
        return failure


def _summed_up(sent: Sent, latencies: list[float], failures: Counter[str], started: float, used: float) -> Sent:
    sent.seconds, sent.cpu_seconds = time.perf_counter() - started, _cpu_seconds() - used
    if latencies:
        sent.latency_p50, sent.latency_p99 = (float(v) * 1000 for v in np.percentile(latencies, [50, 99]))
    sent.failures = dict(failures)
    return sent


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _serve(target: str, workload: Workload, outstanding: int) -> None:
    sender = Sender([await connect(target, METHOD) for _ in range(CONNECTIONS)], workload, outstanding)
    while line := await asyncio.to_thread(sys.stdin.readline):
        task = json.loads(line)
        if "rate" in task:
            sent = await sender.send_at_rate(task["seconds"], task["rate"])
        else:
            sent = await sender.send(task.get("seconds", float("inf")), task.get("spans", sys.maxsize))
        print(json.dumps(asdict(sent)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--target", required=True, metavar="HOST:PORT")
    parser.add_argument("--workload", choices=list(WORKLOADS), required=True)
    parser.add_argument("--outstanding", type=int, default=0, help="requests under way; 0: as the workload says")
    arguments = parser.parse_args()
    workload = WORKLOADS[arguments.workload]
    uvloop.run(_serve(arguments.target, workload, arguments.outstanding or workload.outstanding))


if __name__ == "__main__":
    main()
