"""The live tail: what is acknowledged is shown to whoever watches, and nobody waits for a viewer."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import requests
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from collector.errors import Overloaded
from collector.pipeline import Signal
from receivers import http_server
from receivers.http_server import HttpServer
from receivers.tail import Tail, TailMetrics, TailSettings
from receivers.tail_filter import BadFilter, Filter
from receivers.tail_records import MAX_ATTRIBUTES, Shown, records
from receivers.tail_socket import tail_routes
from tests.collector.requests import gauge, logs, span, traces
from tests.hub.process import until
from tests.receivers.recorder import Loop, Recorder, serving

SETTINGS = TailSettings(enabled=True)
ADDRESS_OF_A_PAGE = "https://pages.example"


class Door:
    """A tail before a recorder, and its address."""

    def __init__(self, loop: Loop, recorder: Recorder, settings: TailSettings) -> None:
        self._loop = loop
        self.registry = CollectorRegistry()
        self.tail = Tail(recorder, settings, TailMetrics(self.registry))
        app = Starlette(routes=tail_routes(self.tail, settings))
        self.server = HttpServer(app, "127.0.0.1:0", "api.listen", websockets=True)
        self.address = ""

    def watch(self, query: str = "", **options: Any) -> ClientConnection:
        viewer: ClientConnection = connect(f"ws://{self.address}/v1/tail?{query}", proxy=None, **options)
        return viewer

    def submit(self, signal: Signal, body: Any, tenant: str = "default") -> None:
        self._loop.run(self.tail.submit(signal, tenant, body.SerializeToString()))

    def submit_all(self, bodies: list[bytes]) -> None:
        async def all_of_them() -> None:
            for body in bodies:
                await self.tail.submit(Signal.TRACES, "default", body)

        self._loop.run(all_of_them())

    def metric(self, name: str) -> float:
        return self.registry.get_sample_value(f"llmhub_receivers_tail_{name}") or 0.0


@contextmanager
def opened(loop: Loop, recorder: Recorder, settings: TailSettings = SETTINGS) -> Iterator[Door]:
    door = Door(loop, recorder, settings)
    with serving(door.server, loop) as door.address:
        yield door


@pytest.fixture
def door(loop: Loop, recorder: Recorder) -> Iterator[Door]:
    with opened(loop, recorder) as door:
        yield door


def received(viewer: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(viewer.recv(timeout=20))
    return message


def narrow_socket(door: Door) -> socket.socket:
    """A connection of a viewer that takes little before somebody has to wait."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    host, port = door.address.split(":")
    narrow.connect((host, int(port)))
    return narrow


def denied(door: Door, query: str = "", **options: Any) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as caught:
        door.watch(query, **options)
    response = caught.value.response
    return response.status_code, (response.body or b"").decode()


def test_an_acknowledged_span_is_shown_under_the_columns_of_its_table(door: Door) -> None:
    with door.watch() as viewer:
        door.submit(Signal.TRACES, traces(span({"k": 1}, name="work", kind=Span.SPAN_KIND_CLIENT), service="shop"))
        record = received(viewer)
    assert (record["SpanName"], record["ServiceName"], record["SpanKind"]) == ("work", "shop", "Client")
    assert (record["SpanAttributes"], record["Duration"], record["StatusCode"]) == ({"k": "1"}, 10**9, "Unset")
    assert (len(record["TraceId"]), len(record["SpanId"]), record["Tenant"]) == (32, 16, "default")
    assert record["Timestamp"].endswith("Z")


def test_log_records_and_data_points_are_shown_too(door: Door) -> None:
    with door.watch() as viewer:
        door.submit(Signal.LOGS, logs("hello", severity_number=17))
        door.submit(Signal.METRICS, gauge("tokens", 1.5))
        log, point = received(viewer), received(viewer)
    assert (log["Body"], log["SeverityNumber"]) == ("hello", 17)
    assert (point["MetricName"], point["Value"]) == ("tokens", 1.5)


def test_what_is_refused_is_not_shown(door: Door, recorder: Recorder) -> None:
    with door.watch() as viewer:
        recorder.failures = [Overloaded("full", 1.0)]
        with pytest.raises(Overloaded):
            door.submit(Signal.TRACES, traces(span(name="refused")))
        door.submit(Signal.TRACES, traces(span(name="stored")))
        assert received(viewer)["SpanName"] == "stored"


def test_without_a_viewer_nothing_is_kept(door: Door, recorder: Recorder) -> None:
    door.submit(Signal.TRACES, traces(span(name="before")))
    with door.watch() as viewer:
        door.submit(Signal.TRACES, traces(span(name="during")))
        assert received(viewer)["SpanName"] == "during"
    assert len(recorder.submitted) == 2


def test_viewers_see_what_their_filters_let_through(door: Door) -> None:
    with door.watch("service=shop&errors=true") as errors, door.watch("tenant=b") as tenant:
        failed = span(name="failed")
        failed.status.code = Status.STATUS_CODE_ERROR
        door.submit(Signal.TRACES, traces(span(name="fine"), failed, service="shop"), tenant="a")
        door.submit(Signal.TRACES, traces(span(name="other"), service="other"), tenant="b")
        assert received(errors)["SpanName"] == "failed"
        assert received(tenant)["SpanName"] == "other"


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ({}, ["chat", "work"]),
        ({"name": "ork"}, ["work"]),
        ({"model": "4o-mini"}, ["chat"]),
        ({"model": "claude"}, []),
        ({"signal": "traces"}, ["chat", "work"]),
        ({"signal": "logs"}, []),
        ({"service": "sho"}, []),
        ({"errors": "true"}, []),
        ({"errors": "false", "sample": "1"}, ["chat", "work"]),
    ],
)
def test_a_filter_matches(query: dict[str, str], seen: list[str]) -> None:
    chat = span({"gen_ai.request.model": "gpt-4o-mini"}, name="chat")
    body = traces(chat, span(name="work")).SerializeToString()
    wanted = Filter.parse(query.items())
    glances = [glance for glance, _ in records(Signal.TRACES, "default", body, Shown())]
    assert [glance.name for glance in glances if wanted.matches(glance)] == seen


def test_a_sample_takes_whole_traces() -> None:
    ids = [number.to_bytes(16) for number in range(1, 2001)]
    twice = [span(trace_id=trace_id) for trace_id in ids for _ in range(2)]
    wanted = Filter(sample=0.1)
    found = records(Signal.TRACES, "t", traces(*twice).SerializeToString(), Shown())
    seen = [glance.trace_id for glance, _ in found if wanted.matches(glance)]
    assert 100 < len(set(seen)) < 300
    assert len(seen) == 2 * len(set(seen))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"servce": "x"}, "servce is no filter"),
        ({"signal": "spans"}, "traces, logs, metrics"),
        ({"errors": "1"}, "true or false"),
        ({"sample": "0"}, "above 0"),
        ({"sample": "nan"}, "above 0"),
        ({"sample": "all"}, "above 0"),
    ],
)
def test_a_wrong_filter_is_told(door: Door, query: dict[str, str], text: str) -> None:
    with pytest.raises(BadFilter, match=text):
        Filter.parse(query.items())
    ((key, value),) = query.items()
    assert denied(door, f"{key}={value}")[0] == 400


def test_a_filter_that_is_given_twice_is_refused(door: Door) -> None:
    status, text = denied(door, "service=a&service=b")
    assert status == 400
    assert "service is given twice" in text


def test_what_is_no_websocket_is_told_to_be_one(door: Door) -> None:
    answer = requests.get(f"http://{door.address}/v1/tail", timeout=10)
    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
    assert "llmhub tail" in answer.text


def test_values_are_cut_and_what_people_and_models_said_is_left_out() -> None:
    attributes = {
        "long": "x" * 300, "list": [{"a": "y" * 1000}] * 1000, "gen_ai.input.messages": "secret", "input.value": "secret",
        "gen_ai.usage.input_tokens": 5,
    }  # fmt: skip
    said = span(attributes)
    said.events.add(name="prompt").attributes.add(key="gen_ai.prompt").value.string_value = "secret"
    ((_, columns),) = records(Signal.TRACES, "t", traces(said).SerializeToString(), Shown(256))
    shown = columns()
    assert "secret" not in json.dumps(shown)
    assert shown["SpanAttributes"]["long"] == "x" * 256 + "…"
    assert len(shown["SpanAttributes"]["list"]) == 257
    assert shown["SpanAttributes"]["gen_ai.usage.input_tokens"] == "5"
    ((_, columns),) = records(Signal.TRACES, "t", traces(said).SerializeToString(), Shown(256, content=True))
    assert json.dumps(columns()).count("secret") == 3


def test_the_body_of_a_genai_event_is_content() -> None:
    for fields, attributes in (
        ({"event_name": "gen_ai.user.message"}, {}),
        ({}, {"event.name": "gen_ai.choice"}),
        ({}, {"gen_ai.system": "openai"}),
    ):
        body = logs({"content": "secret"}, attributes, **fields).SerializeToString()
        ((_, columns),) = records(Signal.LOGS, "t", body, Shown())
        assert columns()["Body"] == ""
        ((_, columns),) = records(Signal.LOGS, "t", body, Shown(content=True))
        assert columns()["Body"] == '{"content":"secret"}'


def test_a_record_has_a_bounded_number_of_attributes() -> None:
    wide = traces(span({f"k{n}": n for n in range(1000)})).SerializeToString()
    ((_, columns),) = records(Signal.TRACES, "t", wide, Shown())
    assert len(columns()["SpanAttributes"]) == MAX_ATTRIBUTES + 1
    assert columns()["SpanAttributes"]["…"] == f"{1000 - MAX_ATTRIBUTES} more"


def test_a_slow_viewer_misses_records_is_told_how_many_and_holds_up_nobody(loop: Loop, recorder: Recorder) -> None:
    """40 MB for a viewer that does not read: the sockets take some, the buffer some, the rest is dropped."""
    total, big = 2000, "x" * 20_000
    settings = replace(SETTINGS, value_chars=30_000, buffer_bytes=100_000, pending_bytes=100 << 20)
    bodies = [traces(span({"big": big})).SerializeToString() for _ in range(total)]
    with opened(loop, recorder, settings) as door:
        narrow = narrow_socket(door)
        with door.watch(sock=narrow, max_queue=1) as slow, door.watch("service=nobody"):
            started = time.monotonic()
            door.submit_all(bodies)
            assert time.monotonic() - started < 5
            assert len(recorder.submitted) == total

            deadline = time.monotonic() + 30
            while door.metric("dropped_total") < total / 4 and time.monotonic() < deadline:
                time.sleep(0.05)
            seen = told = 0
            while seen + told < total:
                message = received(slow)
                told += message.get("dropped", 0)
                seen += "SpanName" in message
            assert (seen + told, door.metric("sent_total"), door.metric("dropped_total")) == (total, seen, told)
            assert told >= total / 4


def test_requests_beyond_the_bound_are_skipped_and_told(loop: Loop, recorder: Recorder) -> None:
    settings = replace(SETTINGS, pending_bytes=3000)
    bodies = [traces(span({"filler": "x" * 1000})).SerializeToString() for _ in range(50)]
    with opened(loop, recorder, settings) as door, door.watch() as viewer:
        door.submit_all(bodies)
        seen = told = 0
        while seen + told < len(bodies):
            message = received(viewer)
            told += message.get("skipped_requests", 0)
            seen += "SpanName" in message
        assert (seen > 0, told > 0, door.metric("skipped_requests_total")) == (True, True, told)


def test_a_request_larger_than_the_bound_is_shown_when_nothing_else_waits(loop: Loop, recorder: Recorder) -> None:
    with opened(loop, recorder, replace(SETTINGS, pending_bytes=10)) as door, door.watch() as viewer:
        door.submit(Signal.TRACES, traces(span(name="large")))
        assert received(viewer)["SpanName"] == "large"


def test_there_is_a_limit_on_viewers_and_a_place_becomes_free_again(loop: Loop, recorder: Recorder) -> None:
    with opened(loop, recorder, replace(SETTINGS, max_viewers=1)) as door:
        with door.watch():
            assert door.metric("viewers") == 1
            assert denied(door) == (
                429,
                "1 viewers are watching, the limit of api.tail.max_viewers. Close one, or raise it.",
            )
        deadline = time.monotonic() + 5
        while door.metric("viewers") and time.monotonic() < deadline:
            time.sleep(0.02)
        with door.watch() as viewer:
            door.submit(Signal.TRACES, traces(span()))
            assert received(viewer)["SpanName"] == "work"


def test_a_tail_that_is_off_says_how_to_switch_it_on(loop: Loop, recorder: Recorder) -> None:
    with opened(loop, recorder, TailSettings()) as door:
        code, text = denied(door)
    assert code == 403
    assert "api.tail.enabled" in text


def test_no_page_in_a_browser_may_watch_unless_its_origin_is_allowed(loop: Loop, recorder: Recorder) -> None:
    with opened(loop, recorder) as door:
        # The last one is what a page looks like whose name was pointed at this address.
        for origin in (ADDRESS_OF_A_PAGE, "null", f"http://{door.address}"):
            code, text = denied(door, additional_headers={"Origin": origin})
            assert code == 403
            assert "api.tail.allowed_origins" in text
    with opened(loop, recorder, replace(SETTINGS, allowed_origins=(ADDRESS_OF_A_PAGE,))) as door:
        with door.watch(additional_headers={"Origin": ADDRESS_OF_A_PAGE}):
            pass
        assert denied(door, additional_headers={"Origin": "https://other.example"})[0] == 403


def test_a_request_that_cannot_be_unpacked_does_not_end_the_show(door: Door) -> None:
    with door.watch() as viewer:
        door.submit_all([b"\xff\xff"])
        door.submit(Signal.TRACES, traces(span(name="next")))
        assert received(viewer)["SpanName"] == "next"


def test_what_a_viewer_sends_is_ignored(door: Door) -> None:
    with door.watch() as viewer:
        viewer.send("hello")
        door.submit(Signal.TRACES, traces(span()))
        assert received(viewer)["SpanName"] == "work"


def test_a_hub_that_stops_does_not_wait_for_viewers(loop: Loop, recorder: Recorder) -> None:
    """Nor for one that does not read, whose connection is full of what was sent to it."""
    door = Door(loop, recorder, replace(SETTINGS, value_chars=30_000, buffer_bytes=100 << 20, pending_bytes=100 << 20))
    door.address = loop.run(door.server.start())
    with door.watch(sock=narrow_socket(door), max_queue=1, close_timeout=0.5):
        door.submit_all([traces(*[span({"big": "x" * 20_000}) for _ in range(100)]).SerializeToString()] * 10)
        deadline, sent = time.monotonic() + 30, -1.0
        while sent != door.metric("sent_total") or not sent:
            assert time.monotonic() < deadline
            sent = door.metric("sent_total")
            time.sleep(0.5)
        assert sent < 1000
        started = time.monotonic()
        loop.run(door.server.stop(grace=10))
        assert time.monotonic() - started < 5


def test_a_viewer_that_reads_nothing_at_all_loses_its_place(
    loop: Loop, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "_PING_SECONDS", 0.5)
    settings = replace(SETTINGS, value_chars=30_000, buffer_bytes=100 << 20, pending_bytes=100 << 20)
    with opened(loop, recorder, settings) as door:
        host, port = door.address.split(":")
        with narrow_socket(door) as suspended:
            suspended.sendall(
                f"GET /v1/tail HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
            )
            assert suspended.recv(12) == b"HTTP/1.1 101"
            assert until(lambda: door.metric("viewers") == 1)
            door.submit_all([traces(*[span({"big": "x" * 20_000}) for _ in range(100)]).SerializeToString()] * 10)
            assert until(lambda: door.metric("viewers") == 0, seconds=20)


def test_unpacking_leaves_most_of_a_core_alone() -> None:
    """The busiest second of the show: much waits, and a viewer wants none of it."""

    async def show() -> float:
        tail = Tail(Recorder(), replace(SETTINGS, pending_bytes=100 << 20), TailMetrics(CollectorRegistry()))
        body = traces(*[span({"k": n}) for n in range(3000)]).SerializeToString()
        with tail.watch(Filter(service="nobody")):
            for _ in range(100):
                await tail.submit(Signal.TRACES, "default", body)
            started = time.process_time()
            await asyncio.sleep(1)
            return time.process_time() - started

    assert asyncio.run(show()) < 0.35
