from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector.errors import InvalidRequest, Overloaded, Unavailable
from collector.pipeline import Acknowledgement, Signal
from receivers.listener import ListenError
from receivers.otlp_grpc import SERVICES, OtlpGrpcReceiver, OtlpGrpcSettings
from tests.clients.grpc_sender import connect
from tests.receivers import exports
from tests.receivers.recorder import Loop, Recorder, serving

SETTINGS = OtlpGrpcSettings(listen="127.0.0.1:0", max_message_bytes=100_000)
TRACES = f"/{SERVICES[Signal.TRACES]}/Export"
CODE = grpc.StatusCode


@pytest.fixture
def address(recorder: Recorder, loop: Loop) -> Iterator[str]:
    with serving(OtlpGrpcReceiver(recorder, SETTINGS), loop) as address:
        yield address


@pytest.fixture
def call(address: str) -> Iterator[Callable[..., bytes]]:
    with grpc.insecure_channel(address) as channel:
        yield lambda body, method=TRACES, **options: export(channel, method)(body, timeout=10, **options)


def export(channel: grpc.Channel, method: str = TRACES) -> Any:
    """The method as bytes in, bytes out."""
    return channel.unary_unary(method)


def failed(call: Callable[..., bytes], body: bytes, method: str = TRACES) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        call(body, method)
    return caught.value


@pytest.mark.parametrize("signal", list(Signal))
def test_request_bytes_are_handed_on_as_they_came(
    call: Callable[..., bytes], recorder: Recorder, signal: Signal
) -> None:
    assert call(exports.PROTOBUF[signal], f"/{SERVICES[signal]}/Export") == b""
    assert recorder.submitted == [(signal, "default", exports.PROTOBUF[signal])]


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_requests_are_inflated(
    call: Callable[..., bytes], recorder: Recorder, compression: grpc.Compression
) -> None:
    call(exports.traces(500), compression=compression)
    assert recorder.submitted[0][2] == exports.traces(500)


def test_rejected_records_come_back_as_partial_success(call: Callable[..., bytes], recorder: Recorder) -> None:
    recorder.answer = Acknowledgement(2, "two spans have ids of 5 bytes")
    got = ExportTraceServiceResponse.FromString(call(exports.traces())).partial_success
    assert (got.rejected_spans, got.error_message) == (2, "two spans have ids of 5 bytes")


@pytest.mark.parametrize(
    ("error", "code", "delay_ms"),
    [
        (InvalidRequest("The request is cut off."), CODE.INVALID_ARGUMENT, None),
        (Overloaded("The spool is full.", 7.25), CODE.RESOURCE_EXHAUSTED, 7250),
        (Unavailable("ClickHouse is away.", 1), CODE.UNAVAILABLE, 1000),
    ],
)
def test_a_failure_has_its_code_and_says_when_to_retry(
    call: Callable[..., bytes], recorder: Recorder, error: Exception, code: grpc.StatusCode, delay_ms: int | None
) -> None:
    recorder.answer = error
    got = failed(call, exports.traces())
    assert (got.code(), got.details()) == (code, str(error))
    trailers = dict(got.trailing_metadata())
    status = Status.FromString(trailers["grpc-status-details-bin"])
    info = RetryInfo()
    assert (status.code, status.message) == (code.value[0], str(error))
    assert status.details[0].Unpack(info) is (delay_ms is not None)
    assert info.retry_delay.ToMilliseconds() == (delay_ms or 0)


def test_a_defect_is_retryable_logged_and_not_disclosed(
    call: Callable[..., bytes], recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    recorder.answer = KeyError("internal detail")
    got = failed(call, exports.traces())
    assert got.code() is CODE.UNAVAILABLE
    assert "internal detail" not in got.details()
    assert "internal detail" in caplog.text


def test_an_oversize_request_is_refused_with_the_setting_and_counted(
    call: Callable[..., bytes], recorder: Recorder
) -> None:
    got = failed(call, bytes(100_001))
    assert got.code() is CODE.INVALID_ARGUMENT
    assert "receivers.otlp_grpc.max_message_bytes" in got.details()
    assert recorder.refusals == [(Signal.TRACES, "too_large")]
    assert recorder.submitted == []


@pytest.mark.parametrize("framed", [b"\0\0", b"\0\0\0\0\x05abc", b"\0\0\0\0\x01abc"])
def test_a_call_without_one_whole_message_is_refused_and_counted(
    address: str, recorder: Recorder, loop: Loop, framed: bytes
) -> None:
    assert "Send one whole message a call." in loop.run(_call_with(address, framed))
    assert recorder.refusals == [(Signal.TRACES, "bad_encoding")]


async def _call_with(address: str, framed: bytes) -> str:
    """What a call is told whose body are these bytes."""
    sender = await connect(address, TRACES)
    answer = sender.send_framed(framed)
    try:
        return await asyncio.wait_for(answer, 10)
    finally:
        sender.close()


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_request_far_over_the_limit_is_refused_unread(
    call: Callable[..., bytes], recorder: Recorder, compression: grpc.Compression
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call(bytes(50_000_000), compression=compression)
    assert caught.value.code() is CODE.INVALID_ARGUMENT
    assert "receivers.otlp_grpc.max_message_bytes" in str(caught.value.details())
    assert recorder.submitted == []
    call(exports.traces())


@pytest.mark.parametrize(
    "method",
    [
        "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
        "/opentelemetry.proto.collector.trace.v1.TraceService/Import",
        "/nothing",
    ],
)
def test_an_unknown_method_is_answered_with_the_known_ones(call: Callable[..., bytes], method: str) -> None:
    got = failed(call, b"", method)
    assert got.code() is CODE.UNIMPLEMENTED
    assert "TraceService, LogsService, MetricsService" in got.details()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=st.binary(max_size=300))
def test_random_bytes_are_handed_on_unread(call: Callable[..., bytes], recorder: Recorder, body: bytes) -> None:
    call(body)
    assert recorder.submitted[-1][2] == body


def test_bytes_that_are_no_grpc_harm_nobody(address: str, call: Callable[..., bytes]) -> None:
    host, port = address.split(":")
    for noise in (b"POST /v1/traces HTTP/1.1\r\nHost: hub\r\n\r\n", os.urandom(2000), b"\0" * 100):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(noise)
            connection.shutdown(socket.SHUT_WR)
    assert call(exports.traces()) == b""


def test_a_sender_that_gives_up_harms_nobody(
    call: Callable[..., bytes], address: str, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    recorder.delay = 1
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as caught:
        export(channel)(exports.traces(), timeout=0.2)
    assert caught.value.code() is CODE.DEADLINE_EXCEEDED
    recorder.delay = 0
    assert call(exports.traces()) == b""
    assert caplog.text == ""


def test_the_tenant_comes_from_the_resolver(recorder: Recorder, loop: Loop) -> None:
    class ByMetadata:
        def resolve(self, headers: Mapping[str, str]) -> str:
            return headers["x-team"]

    metadata = (("x-team", "search"), ("noise-bin", b"\0\xff"))
    receiver = OtlpGrpcReceiver(recorder, SETTINGS, ByMetadata())
    with serving(receiver, loop) as address, grpc.insecure_channel(address) as channel:
        export(channel)(b"", metadata=metadata, timeout=10)
    assert recorder.submitted == [(Signal.TRACES, "search", b"")]


def test_health_is_served_for_the_server_and_each_service(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        for service in ("", *SERVICES.values()):
            response = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
            assert response.status == health_pb2.HealthCheckResponse.SERVING


def test_a_busy_port_names_the_setting(address: str, recorder: Recorder, loop: Loop) -> None:
    receiver = OtlpGrpcReceiver(recorder, OtlpGrpcSettings(listen=address))
    with pytest.raises(
        ListenError, match=r"^receivers\.otlp_grpc\.listen: cannot listen on .*: Address already in use"
    ):
        loop.run(receiver.start())


@pytest.mark.parametrize(("delay", "grace", "answer"), [(0.4, 5.0, CODE.OK), (30.0, 0.2, None)])
def test_an_export_in_flight_has_the_grace_period_and_then_a_retryable_end(
    loop: Loop, delay: float, grace: float, answer: grpc.StatusCode | None
) -> None:
    recorder = Recorder(delay=delay)
    receiver = OtlpGrpcReceiver(recorder, SETTINGS)
    with grpc.insecure_channel(loop.run(receiver.start())) as channel:
        answered = export(channel).future(exports.traces(), timeout=20)
        while not recorder.submitted:
            time.sleep(0.01)
        started = time.monotonic()
        loop.run(receiver.stop(grace))
        assert time.monotonic() - started < 3
        assert answered.code() in ([answer] if answer else [CODE.UNAVAILABLE, CODE.CANCELLED])
    loop.run(receiver.stop(grace))


def test_tls_is_served_when_both_files_are_set(recorder: Recorder, loop: Loop, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    settings = OtlpGrpcSettings(
        listen="127.0.0.1:0", tls_cert_file=str(tmp_path / "cert.pem"), tls_key_file=str(tmp_path / "key.pem")
    )
    trusted = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    receiver = OtlpGrpcReceiver(recorder, settings)
    with serving(receiver, loop) as address, grpc.secure_channel(address, trusted) as channel:
        assert export(channel)(exports.traces(), timeout=10) == b""


def test_many_exports_are_served_at_once(address: str, recorder: Recorder) -> None:
    recorder.delay = 0.3
    started = time.monotonic()
    with grpc.insecure_channel(address) as channel:
        calls = [export(channel).future(exports.traces(), timeout=10) for _ in range(100)]
        assert [call.result() for call in calls] == [b""] * 100
    assert time.monotonic() - started < 5


def test_it_runs_on_uvloop(recorder: Recorder) -> None:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")
    loop = Loop(uvloop.new_event_loop)
    with serving(OtlpGrpcReceiver(recorder, SETTINGS), loop) as address, grpc.insecure_channel(address) as channel:
        assert export(channel)(exports.traces(), timeout=10) == b""
    loop.close()
    assert threading.active_count() < 50
