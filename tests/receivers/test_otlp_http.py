from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import socket
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests
import trustme
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.errors import InvalidRequest, Overloaded, Unavailable
from collector.pipeline import Acknowledgement, Signal
from receivers import http_connection
from receivers.listener import ListenError
from receivers.otlp_http import OtlpHttpReceiver, OtlpHttpSettings
from tests.receivers import exports
from tests.receivers.recorder import Loop, Recorder, serving

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}
SETTINGS = OtlpHttpSettings(listen="127.0.0.1:0", max_body_bytes=100_000, body_timeout_seconds=0.5)


@pytest.fixture
def url(recorder: Recorder, loop: Loop) -> Iterator[str]:
    with serving(OtlpHttpReceiver(recorder, SETTINGS), loop) as address:
        yield f"http://{address}"


def post(url: str, path: str, body: bytes, headers: Mapping[str, str]) -> requests.Response:
    return requests.post(url + path, data=body, headers=dict(headers), timeout=10)


def message(response: requests.Response) -> str:
    """The text of the google.rpc.Status, which must be in the encoding that the answer names."""
    if response.headers["content-type"] == "application/json":
        return str(json.loads(response.content)["message"])
    assert response.headers["content-type"] == "application/x-protobuf"
    return str(Status.FromString(response.content).message)


@pytest.mark.parametrize("signal", list(Signal))
def test_protobuf_bytes_are_handed_on_as_they_came(url: str, recorder: Recorder, signal: Signal) -> None:
    response = post(url, f"/v1/{signal}", exports.PROTOBUF[signal], PROTOBUF)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-type"] == "application/x-protobuf"
    assert recorder.submitted == [(signal, "default", exports.PROTOBUF[signal])]


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=UTF-8"])
def test_json_arrives_as_the_same_protobuf(url: str, recorder: Recorder, content_type: str) -> None:
    response = post(url, "/v1/traces", exports.span_json(), {"Content-Type": content_type})
    assert (response.status_code, response.content) == (200, b"{}")
    assert response.headers["content-type"] == "application/json"
    got = ExportTraceServiceRequest.FromString(recorder.submitted[0][2])
    assert got.resource_spans[0].scope_spans[0].spans[0].name == "chat"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(exports.traces(500), mtime=0)),
        ("deflate", zlib.compress(exports.traces(500))),
        ("zstd", zstd.compress(exports.traces(500))),
        ("identity", exports.traces(500)),
    ],
)
def test_compressed_requests_are_inflated(url: str, recorder: Recorder, encoding: str, body: bytes) -> None:
    response = post(url, "/v1/traces", body, PROTOBUF | {"Content-Encoding": encoding})
    assert response.status_code == 200
    assert recorder.submitted[0][2] == exports.traces(500)


def test_an_empty_export_is_accepted(url: str, recorder: Recorder) -> None:
    assert post(url, "/v1/logs", b"", PROTOBUF).status_code == 200
    assert recorder.submitted == [(Signal.LOGS, "default", b"")]


def test_rejected_records_come_back_as_partial_success(url: str, recorder: Recorder) -> None:
    recorder.answer = Acknowledgement(2, "two spans have ids of 5 bytes")
    response = post(url, "/v1/traces", exports.span_json(), JSON)
    assert response.status_code == 200
    assert response.json()["partialSuccess"] == {"rejectedSpans": "2", "errorMessage": "two spans have ids of 5 bytes"}


@pytest.mark.parametrize(
    ("error", "code", "retry_after"),
    [
        (InvalidRequest("The request is cut off."), 400, None),
        (Overloaded("The spool is full.", 7.2), 429, "8"),
        (Unavailable("ClickHouse is away.", 0.2), 503, "1"),
    ],
)
@pytest.mark.parametrize("headers", [PROTOBUF, JSON])
def test_a_failure_is_a_status_in_the_encoding_of_the_request(
    url: str, recorder: Recorder, error: Exception, code: int, retry_after: str | None, headers: Mapping[str, str]
) -> None:
    recorder.answer = error
    body = exports.traces() if headers is PROTOBUF else exports.span_json()
    response = post(url, "/v1/traces", body, headers)
    assert (response.status_code, response.headers.get("retry-after")) == (code, retry_after)
    assert response.headers["content-type"] == headers["Content-Type"]
    assert message(response) == str(error)


def test_a_defect_is_retryable_logged_and_not_disclosed(
    url: str, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    recorder.answer = KeyError("internal detail")
    response = post(url, "/v1/traces", exports.traces(), PROTOBUF)
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert "internal detail" not in message(response)
    assert "internal detail" in caplog.text


GZIP = PROTOBUF | {"Content-Encoding": "gzip"}
BROTLI = PROTOBUF | {"Content-Encoding": "br"}
TEXT = {"Content-Type": "text/plain"}
LATIN = {"Content-Type": "application/json; charset=latin1"}
OVERSIZE = bytes(100_001)
BAD_REQUESTS = [
    ("/v1/traces", b"x", TEXT, 415, "unsupported_media_type", "Content-Type 'text/plain' is not supported"),
    ("/v1/traces", b"x", {}, 415, "unsupported_media_type", "A request without Content-Type"),
    ("/v1/logs", b"{}", LATIN, 415, "unsupported_media_type", "latin1"),
    ("/v1/traces", b"x", BROTLI, 415, "unsupported_encoding", "Send gzip, deflate"),
    ("/v1/traces", gzip.compress(b"x" * 99, mtime=0)[:-1], GZIP, 400, "bad_encoding", "ends early"),
    ("/v1/logs", gzip.compress(b"{}", mtime=0), JSON, 400, "bad_encoding", "Send Content-Encoding: gzip with it"),
    ("/v1/metrics", zstd.compress(b"x"), PROTOBUF, 400, "bad_encoding", "Send Content-Encoding: zstd with it"),
    ("/v1/traces", b"plain", GZIP, 400, "bad_encoding", "not valid gzip"),
    ("/v1/traces", b"{,}", JSON, 400, "bad_json", "not JSON"),
    ("/v1/metrics", b'{"resourceSpans": []}', JSON, 400, "bad_json", "Send it to /v1/traces"),
    ("/v1/traces", OVERSIZE, PROTOBUF, 413, "too_large", "raise receivers.otlp_http.max_body_bytes"),
    (
        "/v1/traces",
        gzip.compress(OVERSIZE, mtime=0),
        GZIP,
        413,
        "too_large",
        "larger than 100000 bytes after decompression",
    ),
]


@pytest.mark.parametrize(("path", "body", "headers", "code", "reason", "text"), BAD_REQUESTS)
def test_a_bad_request_is_refused_with_its_cause_and_counted(
    url: str, recorder: Recorder, path: str, body: bytes, headers: dict[str, str], code: int, reason: str, text: str
) -> None:
    response = post(url, path, body, headers)
    assert response.status_code == code
    assert text in message(response)
    assert recorder.refusals == [(Signal(path.rpartition("/")[2]), reason)]
    assert recorder.submitted == []


def test_a_refusal_names_what_is_supported_in_headers(url: str) -> None:
    response = post(url, "/v1/traces", b"x", {"Content-Type": "text/plain"})
    assert response.headers["accept-post"] == "application/x-protobuf, application/json"
    response = post(url, "/v1/traces", b"x", PROTOBUF | {"Content-Encoding": "br"})
    assert response.headers["accept-encoding"] == "gzip, deflate, zstd"


def test_an_oversize_body_without_declared_length_is_refused(url: str) -> None:
    response = requests.post(url + "/v1/traces", data=iter([bytes(60_000)] * 10), headers=PROTOBUF, timeout=10)
    assert response.status_code == 413


def test_a_sender_far_over_the_limit_still_gets_its_answer(url: str) -> None:
    assert post(url, "/v1/traces", bytes(30_000_000), PROTOBUF).status_code == 413


@pytest.mark.parametrize("path", ["/", "/v1/trace", "/v1/traces/", "/v1/traces/v1/traces", "/v1development/profiles"])
def test_a_wrong_path_is_answered_with_the_right_ones(url: str, path: str) -> None:
    response = post(url, path, exports.traces(), PROTOBUF)
    assert response.status_code == 404
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in message(response)


def test_another_method_than_post_is_refused(url: str, recorder: Recorder) -> None:
    response = requests.get(url + "/v1/traces", timeout=10)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert "takes POST, not GET" in message(response)
    assert recorder.refusals == [(Signal.TRACES, "method_not_allowed")]


def test_a_body_that_does_not_arrive_in_time_is_refused(url: str, recorder: Recorder) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"POST /v1/traces HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
        )
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"receivers.otlp_http.body_timeout_seconds" in answer
    assert recorder.refusals == [(Signal.TRACES, "body_timeout")]


def test_a_sender_that_hangs_up_halfway_harms_nobody(
    url: str, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"POST /v1/traces HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
        )
    assert post(url, "/v1/traces", exports.traces(), PROTOBUF).status_code == 200
    assert len(recorder.submitted) == 1
    assert caplog.text == ""


def test_bytes_that_are_no_http_harm_nobody(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    for noise in (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", os.urandom(2000), b"\0" * 100):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(noise)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(4096)
    assert post(url, "/v1/traces", exports.traces(), PROTOBUF).status_code == 200


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    body=st.binary(max_size=300),
    content_type=st.sampled_from(["application/x-protobuf", "application/json", "text/plain", ""]),
    encoding=st.sampled_from(["", "gzip", "deflate", "zstd", "br"]),
)
def test_random_requests_get_an_answer_of_the_protocol(
    url: str, recorder: Recorder, body: bytes, content_type: str, encoding: str
) -> None:
    response = post(url, "/v1/traces", body, {"Content-Type": content_type, "Content-Encoding": encoding})
    assert response.status_code in (200, 400, 415)
    assert response.status_code == 200 or message(response)


def test_the_tenant_comes_from_the_resolver(recorder: Recorder, loop: Loop) -> None:
    class ByHeader:
        def resolve(self, headers: Mapping[str, str]) -> str:
            return headers["x-team"]

    with serving(OtlpHttpReceiver(recorder, SETTINGS, ByHeader()), loop) as address:
        post(f"http://{address}", "/v1/traces", b"", PROTOBUF | {"X-Team": "search"})
    assert recorder.submitted == [(Signal.TRACES, "search", b"")]


def test_a_busy_port_names_the_setting(url: str, recorder: Recorder, loop: Loop) -> None:
    settings = OtlpHttpSettings(listen=url.removeprefix("http://"))
    with pytest.raises(
        ListenError, match=r"^receivers\.otlp_http\.listen: cannot listen on .*: Address already in use"
    ):
        loop.run(OtlpHttpReceiver(recorder, settings).start())


def test_an_export_in_flight_is_answered_before_the_receiver_stops(loop: Loop) -> None:
    recorder = Recorder(delay=0.4)
    receiver = OtlpHttpReceiver(recorder, SETTINGS)
    address = loop.run(receiver.start())
    code = in_background(address)
    while not recorder.submitted:
        time.sleep(0.01)
    loop.run(receiver.stop(grace=5))
    assert code() == 200
    loop.run(receiver.stop(grace=5))


def test_an_export_that_outlives_the_grace_period_is_told_to_come_again(loop: Loop) -> None:
    recorder = Recorder(delay=30)
    receiver = OtlpHttpReceiver(recorder, SETTINGS)
    address = loop.run(receiver.start())
    code = in_background(address)
    while not recorder.submitted:
        time.sleep(0.01)
    started = time.monotonic()
    loop.run(receiver.stop(grace=0.2))
    assert time.monotonic() - started < 3
    assert code() == 503


def in_background(address: str) -> Callable[[], int]:
    """Starts an export; the result waits for its status code."""
    answers: list[int] = []
    sender = threading.Thread(
        target=lambda: answers.append(post(f"http://{address}", "/v1/traces", b"", PROTOBUF).status_code)
    )
    sender.start()

    def answer() -> int:
        sender.join(10)
        return answers[0]

    return answer


def test_tls_is_served_when_both_files_are_set(recorder: Recorder, loop: Loop, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    settings = OtlpHttpSettings(
        listen="127.0.0.1:0", tls_cert_file=str(tmp_path / "cert.pem"), tls_key_file=str(tmp_path / "key.pem")
    )
    with serving(OtlpHttpReceiver(recorder, settings), loop) as address:
        response = requests.post(
            f"https://{address}/v1/traces", headers=PROTOBUF, verify=str(tmp_path / "ca.pem"), timeout=10
        )
    assert response.status_code == 200


def test_it_runs_on_uvloop(recorder: Recorder) -> None:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")
    loop = Loop(uvloop.new_event_loop)
    with serving(OtlpHttpReceiver(recorder, SETTINGS), loop) as address:
        assert post(f"http://{address}", "/v1/traces", exports.traces(), PROTOBUF).status_code == 200
    loop.close()


def test_it_starts_in_the_main_thread_without_touching_its_signal_handlers(recorder: Recorder) -> None:
    async def started_and_stopped() -> None:
        receiver = OtlpHttpReceiver(recorder, SETTINGS)
        await receiver.start()
        assert signal.getsignal(signal.SIGTERM) is before
        await receiver.stop(0)

    before = signal.getsignal(signal.SIGTERM)
    asyncio.run(started_and_stopped())


def raw(url: str, *parts: bytes, seconds: float = 10.0) -> bytes:
    """What the port answers to `parts` until it closes the connection."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        with suppress(ConnectionError):  # it may have closed before all is sent
            for part in parts:
                connection.sendall(part)
        with suppress(ConnectionError):
            return b"".join(iter(lambda: connection.recv(4096), b""))
    return b""


@pytest.mark.parametrize("sent", [b"", b"POST /v1/tr", b"POST /v1/traces HTTP/1.1\r\nHost: hub\r\nX: a"])
def test_a_head_that_does_not_arrive_in_time_closes_the_connection(
    url: str, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(http_connection, "HEAD_SECONDS", 0.2)
    assert raw(url, sent).startswith(b"HTTP/1.1 408 ")


def test_a_connection_that_is_used_again_has_the_time_anew(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "HEAD_SECONDS", 0.3)
    with requests.Session() as session:
        for _ in range(3):
            assert session.post(f"{url}/v1/traces", data=exports.traces(), headers=PROTOBUF).status_code == 200
            time.sleep(0.2)


HEAD = b"POST /v1/traces HTTP/1.1\r\nHost: hub\r\nContent-Type: application/x-protobuf\r\n"


@pytest.mark.parametrize(
    "start",
    [HEAD + b"X: ", b"GET /", HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: "],
    ids=["header", "path", "trailer"],
)
def test_headers_without_end_are_refused_before_they_fill_the_memory(url: str, start: bytes) -> None:
    answer = raw(url, start, *[b"a" * (1 << 20)] * 64)
    assert not answer or answer.startswith(b"HTTP/1.1 4")
    assert post(url, "/v1/traces", exports.traces(), PROTOBUF).status_code == 200


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"TLS/1.2"])
@pytest.mark.parametrize("writes", ["one", "two"])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_offer_of_another_protocol_is_ignored_and_the_request_is_one_as_any_other(
    url: str, recorder: Recorder, protocol: bytes, writes: str, chunked: bool
) -> None:
    """The JDK's HttpClient offers HTTP/2 with each first request."""
    body = exports.traces()
    offer = HEAD + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: %s\r\nHTTP2-Settings: AAMAAABkAAQ\r\n" % protocol
    length = b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: %d\r\n\r\n" % len(body)
    framed = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    last = HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    parts = [offer + length + framed + last] if writes == "one" else [offer + length, framed, last]
    answer = raw(url, *parts)
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert [submitted[2] for submitted in recorder.submitted] == [body, body]


def test_a_thousand_such_requests_at_once_are_as_many_requests(url: str) -> None:
    offer = HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n"
    assert raw(url, offer * 999 + offer.replace(b"Upgrade\r", b"close\r")).count(b"HTTP/1.1 200 ") == 1000


def test_a_receiver_is_no_proxy(url: str) -> None:
    assert raw(url, b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n").startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize("rest", [b"", b"a", b"a" * 3000], ids=["nothing more", "a byte", "all of it"])
def test_a_request_that_was_answered_before_it_was_there_does_not_keep_its_connection(url: str, rest: bytes) -> None:
    large = HEAD.replace(b"x-protobuf", b"nothing-known") + b"Content-Length: 3000\r\n\r\n"
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(large)
        assert connection.recv(4096).startswith(b"HTTP/1.1 415 ")
        connection.sendall(rest)
        with suppress(ConnectionError):
            while connection.recv(4096):
                pass  # until it is closed


def test_a_large_body_does_not_wait_for_threads_that_wait_for_the_store(url: str, loop: Loop) -> None:
    answered = threading.Event()

    async def ask() -> None:
        for _ in range(64):
            asyncio.get_running_loop().run_in_executor(None, answered.wait, 20)

    loop.run(ask())
    try:
        body = exports.traces(spans=1000)
        assert 32 << 10 < len(body) < 100_000
        assert post(url, "/v1/traces", body, PROTOBUF).status_code == 200
    finally:
        answered.set()


def test_a_body_in_small_chunks_is_no_large_header(url: str, recorder: Recorder) -> None:
    body = exports.traces(spans=1000)
    chunks = (body[start : start + 4] for start in range(0, len(body), 4))
    assert requests.post(f"{url}/v1/traces", data=chunks, headers=PROTOBUF, timeout=10).status_code == 200
    assert recorder.submitted[0][2] == body


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"OTLP over gRPC goes to receivers.otlp_grpc.listen"),
        (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", b"Send to http:// instead of https://"),
        (b"junk\r\n\r\n", b"no valid HTTP/1.1 request"),
    ],
)
def test_what_is_no_http_is_told_what_the_port_takes(
    url: str, caplog: pytest.LogCaptureFixture, sent: bytes, text: bytes
) -> None:
    for _ in range(3):
        answer = raw(url, sent)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert text in answer
        assert b"receivers.otlp_http.listen" in answer
    assert len(caplog.records) == 1  # a minute


def test_more_connections_than_allowed_are_closed(recorder: Recorder, loop: Loop) -> None:
    few = OtlpHttpSettings(listen="127.0.0.1:0", max_connections=2)
    with serving(OtlpHttpReceiver(recorder, few), loop) as address:
        host, port = address.split(":")
        with ExitStack() as stack:
            first, second, third = (
                stack.enter_context(socket.create_connection((host, int(port)), timeout=10)) for _ in range(3)
            )
            with suppress(ConnectionError):
                assert third.recv(1) == b""
            request = HEAD + b"Content-Length: 0\r\nConnection: close\r\n\r\n"
            for each in (first, second):
                each.sendall(request)
                assert each.recv(15) == b"HTTP/1.1 200 OK"
