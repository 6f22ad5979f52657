"""What a hub says to bad input, and that nobody else notices."""

from __future__ import annotations

import gzip
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from collector.protobuf import len_prefix
from collector.signals import Signal
from tests.collector.requests import call, gauge, logs, span, traces
from tests.hub.process import PROTOBUF, Exports, Hub, until

CASES = 10_000
IN_FLIGHT = 256
HTTP_SENDERS = 24
HTTP_EVERY = 4
"""One case in so many goes over HTTP."""
MEMORY_BYTES = 384 << 20
"""What the process may hold on to afterwards; the engine's caches are part of it."""
OK, INVALID = grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT


def cut(service: str) -> bytes:
    """Framed well on the outside, with a span that has lost its end."""
    whole = span().SerializeToString()
    scope = b"".join(len_prefix(2, len(part)) + part for part in (whole, whole[:-3]))
    resource = len_prefix(2, len(scope)) + scope
    return len_prefix(1, len(resource)) + resource


def both(hub: Hub, exports: Exports, body: bytes, signal: Signal = Signal.TRACES) -> tuple[grpc.StatusCode, int, str]:
    """The codes of both doors, and the text of the gRPC one."""
    code, text = exports.code(signal, body)
    response = hub.post(signal, body)
    assert text.encode() in response.data or not text
    return code, response.status, text


@pytest.mark.parametrize("bytes_lost", [1, 10, 40])
def test_a_truncated_request_is_refused_by_both_doors(
    hub: Hub, exports: Exports, service: str, bytes_lost: int
) -> None:
    body = traces(call(), service=service).SerializeToString()[:-bytes_lost]
    code, status, text = both(hub, exports, body)
    assert (code, status) == (INVALID, 400)
    assert "is not valid protobuf" in text
    assert hub.count("otel_traces", service) == 0


def test_a_request_that_is_broken_inside_is_refused_with_the_place(hub: Hub, exports: Exports, service: str) -> None:
    code, status, text = both(hub, exports, cut(service))
    assert (code, status) == (INVALID, 400)
    assert "resource_spans[0].scope_spans[0].spans[1]: byte" in text


@pytest.mark.parametrize("signal", list(Signal))
def test_a_request_of_the_wrong_signal_is_told_where_it_belongs(hub: Hub, exports: Exports, signal: Signal) -> None:
    bodies = {Signal.TRACES: traces(span()), Signal.LOGS: logs("x"), Signal.METRICS: gauge("g", 1.0)}
    for other in set(bodies) - {signal}:
        code, status, text = both(hub, exports, bodies[other].SerializeToString(), signal)
        assert (code, status) == (INVALID, 400)
        assert f"send it to the {other} service or to /v1/{other}" in text


@pytest.mark.parametrize("signal", list(Signal))
def test_an_empty_export_is_accepted(hub: Hub, exports: Exports, signal: Signal) -> None:
    assert both(hub, exports, b"", signal)[:2] == (OK, 200)


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("text/plain", b"{}", 415),
        ("", b"{}", 415),
        ("application/json", b"{", 400),
        ("application/json", b"[]", 400),
        ("application/json", b'{"resourceSpans": 5}', 400),
        ("application/x-protobuf", b'{"resourceSpans": []}', 400),
    ],
)
def test_a_content_type_that_is_unknown_or_does_not_fit_is_refused(
    hub: Hub, content_type: str, body: bytes, status: int
) -> None:
    response = hub.post(Signal.TRACES, body, {"Content-Type": content_type} if content_type else {})
    assert response.status == status
    assert len(response.data) > 20  # a google.rpc.Status with a sentence in it


@pytest.mark.parametrize(
    ("encoding", "body"), [("gzip", b"no gzip"), ("gzip", gzip.compress(b"x", mtime=0)[:-4]), ("zstd", b"\0")]
)
def test_a_body_that_cannot_be_decompressed_is_refused(hub: Hub, encoding: str, body: bytes) -> None:
    assert hub.post(Signal.TRACES, body, {**PROTOBUF, "Content-Encoding": encoding}).status == 400


def test_a_body_above_the_limit_is_refused_as_sent_and_as_inflated(hub: Hub, exports: Exports) -> None:
    large = len_prefix(1, 21 << 20) + bytes(21 << 20)
    packed = gzip.compress(bytes(200 << 20), 1)
    code, text = exports.code(Signal.TRACES, large)
    assert code is INVALID
    assert "receivers.otlp_grpc.max_message_bytes" in text
    for body, headers in ((large, PROTOBUF), (packed, {**PROTOBUF, "Content-Encoding": "gzip"})):
        response = hub.post(Signal.TRACES, body, headers)
        assert response.status == 413
        assert b"receivers.otlp_http.max_body_bytes" in response.data


@pytest.mark.parametrize(
    "fields",
    [
        {"trace_id": b"short"},
        {"trace_id": bytes(17)},
        {"span_id": b"123456789"},
        {"parent_span_id": b"1"},
        {"start_time_unix_nano": 0},
        {"start_time_unix_nano": 1},
        {"start_time_unix_nano": 2**64 - 1},
        {"end_time_unix_nano": 2**63},
    ],
)
def test_a_span_with_a_wrong_id_or_an_absurd_time_is_reported_and_the_others_are_stored(
    hub: Hub, exports: Exports, service: str, fields: dict[str, Any]
) -> None:
    def body() -> bytes:
        return traces(span(), span(**fields), call(), service=service).SerializeToString()

    assert next(iter(fields)).split("_")[0].encode() in exports.send(Signal.TRACES, body())
    assert hub.post(Signal.TRACES, body()).status == 200
    assert hub.count("otel_traces", service) == 4
    (row,) = hub.rows(f"SELECT count() AS n FROM rejected_records WHERE record LIKE '%{service}%'")
    assert row["n"] == 2


def test_ten_thousand_attributes_on_a_span_are_stored(hub: Hub, exports: Exports, service: str) -> None:
    wide = traces(span({f"key.{n}": n for n in range(10_000)}), service=service).SerializeToString()
    assert exports.send(Signal.TRACES, wide) == b""
    (row,) = hub.rows(f"SELECT length(SpanAttributes) AS n FROM otel_traces WHERE ServiceName = '{service}'")
    assert row["n"] == 10_000


def random_bodies(seed: int) -> Iterator[tuple[Signal, bytes]]:
    """Endless: noise, and good requests that something has happened to."""
    rng = random.Random(seed)
    good = [
        (Signal.TRACES, traces(call(), span({"a": [1, {"b": "c"}]}), service="random").SerializeToString()),
        (Signal.LOGS, logs({"text": "x", "n": [1, 2.5]}, {"a": True}).SerializeToString()),
        (Signal.METRICS, gauge("random", 1.5).SerializeToString()),
    ]
    while True:
        signal, body = rng.choice(good)
        yield signal, rng.choice(MUTATIONS)(rng, body)


def noise(rng: random.Random, body: bytes) -> bytes:
    return rng.randbytes(rng.randrange(1, 300))


def framed_noise(rng: random.Random, body: bytes) -> bytes:
    """Gets past the check of the outermost level."""
    inner = noise(rng, body)
    return len_prefix(1, len(inner)) + inner


def changed_bytes(rng: random.Random, body: bytes) -> bytes:
    changed = bytearray(body)
    for _ in range(rng.randrange(1, 6)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def cut_short(rng: random.Random, body: bytes) -> bytes:
    return body[: rng.randrange(len(body))]


def spliced(rng: random.Random, body: bytes) -> bytes:
    """A stretch of the request stands a second time, somewhere else."""
    start, at = rng.randrange(len(body)), rng.randrange(len(body))
    return body[:at] + body[start : start + rng.randrange(40)] + body[at:]


MUTATIONS = (noise, noise, framed_noise, framed_noise, cut_short, cut_short, changed_bytes, spliced)


def test_ten_thousand_random_requests_each_get_a_definite_answer_and_harm_nobody(
    hub: Hub, exports: Exports, service: str
) -> None:
    seed = int.from_bytes(os.urandom(4))
    print(f"seed {seed}")
    started = time.monotonic()
    pid = hub.metric("process_start_time_seconds")
    resident = hub.metric("process_resident_memory_bytes")
    with Neighbour(hub, service) as neighbour:
        answers = send_all(hub, exports, seed)
    print(
        f"{CASES} cases in {time.monotonic() - started:.1f} s, {neighbour.sent} by a neighbour: {dict(answers)} {neighbour.refused}"
    )

    assert sum(answers.values()) == CASES
    assert set(answers) <= {OK, INVALID, 200, 400}, f"seed {seed}"
    assert hub.process.poll() is None
    assert hub.metric("process_start_time_seconds") == pid
    assert hub.api("/readyz").status == 200
    # Some are acknowledged from the spool while the bad ones are being found.
    assert until(lambda: hub.metric("llmhub_collector_pending_bytes") + hub.metric("llmhub_spool_batches") == 0, 60)
    assert neighbour.sent
    assert not neighbour.refused
    assert until(lambda: hub.count("otel_traces", service) == neighbour.sent, 30)
    assert "Traceback" not in hub.log
    grown = hub.metric("process_resident_memory_bytes") - resident
    print(f"{grown / 2**20:.0f} MiB more resident")
    assert grown < MEMORY_BYTES


def code_of(answer: grpc.Future[bytes]) -> grpc.StatusCode:
    error = answer.exception()
    return error.code() if isinstance(error, grpc.RpcError) else OK


def send_all(hub: Hub, exports: Exports, seed: int) -> Counter[object]:
    """How often each code was the answer, to every random request over one door or the other."""
    answers: Counter[object] = Counter()
    slots = threading.Semaphore(IN_FLIGHT)
    lock = threading.Lock()

    def answered(code: object) -> None:
        slots.release()
        with lock:
            answers[code] += 1

    with ThreadPoolExecutor(HTTP_SENDERS) as http:
        for number, (signal, body) in zip(range(CASES), random_bodies(seed), strict=False):
            slots.acquire()
            if number % HTTP_EVERY:
                exports.start(signal, body).add_done_callback(lambda future: answered(code_of(future)))
            else:
                http.submit(hub.post, signal, body).add_done_callback(lambda future: answered(future.result().status))
    for _ in range(IN_FLIGHT):
        slots.acquire()
    return answers


class Neighbour:
    """Somebody else who sends good spans all the while; `sent` are acknowledged, `refused` are not."""

    def __init__(self, hub: Hub, service: str) -> None:
        self.sent = 0
        self.refused: Counter[grpc.StatusCode] = Counter()
        self._hub = hub
        self._service = service
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Neighbour:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        with self._hub.channel() as channel:
            exports = Exports(channel)
            while not self._stopped.is_set():
                code, _ = exports.code(Signal.TRACES, traces(call(), service=self._service).SerializeToString())
                if code is OK:
                    self.sent += 1
                else:
                    self.refused[code] += 1
