"""The unmodified OpenTelemetry SDK for Python and its own exporters, over both transports."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from collector.errors import InvalidRequest, Overloaded, Unavailable
from collector.pipeline import Signal
from collector.signals import REQUESTS
from receivers.otlp_grpc import OtlpGrpcReceiver, OtlpGrpcSettings
from receivers.otlp_http import OtlpHttpReceiver, OtlpHttpSettings
from tests.receivers.messages import records
from tests.receivers.recorder import Loop, Recorder, serving

RESOURCE = Resource.create({"service.name": "checkout"})
GRPC_CODINGS = [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]
HTTP_CODINGS = [Compression.NoCompression, Compression.Gzip, Compression.Deflate]


@pytest.fixture
def grpc_address(recorder: Recorder, loop: Loop) -> Iterator[str]:
    with serving(OtlpGrpcReceiver(recorder, OtlpGrpcSettings(listen="127.0.0.1:0")), loop) as address:
        yield f"http://{address}"


@pytest.fixture
def http_address(recorder: Recorder, loop: Loop) -> Iterator[str]:
    with serving(OtlpHttpReceiver(recorder, OtlpHttpSettings(listen="127.0.0.1:0")), loop) as address:
        yield f"http://{address}"


@pytest.mark.parametrize("compression", GRPC_CODINGS)
def test_all_signals_arrive_over_grpc(grpc_address: str, recorder: Recorder, compression: grpc.Compression) -> None:
    send_a_span(GrpcSpans(endpoint=grpc_address, insecure=True, compression=compression))
    send_a_log(GrpcLogs(endpoint=grpc_address, insecure=True, compression=compression))
    send_a_metric(GrpcMetrics(endpoint=grpc_address, insecure=True, compression=compression))
    assert_one_of_each(recorder)


@pytest.mark.parametrize("compression", HTTP_CODINGS)
def test_all_signals_arrive_over_http(http_address: str, recorder: Recorder, compression: Compression) -> None:
    send_a_span(HttpSpans(endpoint=f"{http_address}/v1/traces", compression=compression))
    send_a_log(HttpLogs(endpoint=f"{http_address}/v1/logs", compression=compression))
    send_a_metric(HttpMetrics(endpoint=f"{http_address}/v1/metrics", compression=compression))
    assert_one_of_each(recorder)


@pytest.mark.parametrize("failure", [Overloaded("The spool is full.", 0.3), Unavailable("ClickHouse is away.", 0.3)])
def test_the_grpc_exporter_comes_again_after_the_time_it_was_told(
    grpc_address: str, recorder: Recorder, failure: Exception
) -> None:
    recorder.failures = [failure]
    seconds, result = timed_export(GrpcSpans(endpoint=grpc_address, insecure=True))
    assert result is SpanExportResult.SUCCESS
    assert 0.3 <= seconds < 0.8  # by itself it would wait at least 0.8 s
    assert len(recorder.submitted) == 2


@pytest.mark.parametrize("failure", [Overloaded("The spool is full.", 2), Unavailable("ClickHouse is away.", 2)])
def test_the_http_exporter_comes_again_after_the_time_it_was_told(
    http_address: str, recorder: Recorder, failure: Exception
) -> None:
    recorder.failures = [failure]
    seconds, result = timed_export(HttpSpans(endpoint=f"{http_address}/v1/traces"))
    assert result is SpanExportResult.SUCCESS
    assert 2 <= seconds < 2.5  # by itself it would wait at most 1.2 s
    assert len(recorder.submitted) == 2


def test_bad_data_is_not_sent_again(grpc_address: str, http_address: str, recorder: Recorder) -> None:
    recorder.answer = InvalidRequest("The request is cut off.")
    assert timed_export(GrpcSpans(endpoint=grpc_address, insecure=True))[1] is SpanExportResult.FAILURE
    assert timed_export(HttpSpans(endpoint=f"{http_address}/v1/traces"))[1] is SpanExportResult.FAILURE
    assert len(recorder.submitted) == 2


def send_a_span(exporter: SpanExporter) -> None:
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer("test").start_span("chat", attributes={"gen_ai.request.model": "gpt-4o-mini"}).end()
    provider.shutdown()


def send_a_log(exporter: Any) -> None:
    provider = LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    provider.get_logger("test").emit(body="hello", event_name="gen_ai.choice", timestamp=time.time_ns())
    provider.shutdown()


def send_a_metric(exporter: Any) -> None:
    provider = MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=1e9)], RESOURCE)
    provider.get_meter("test").create_histogram("gen_ai.client.token.usage").record(100)
    provider.force_flush()
    provider.shutdown()


def timed_export(exporter: SpanExporter) -> tuple[float, SpanExportResult]:
    started = time.monotonic()
    result = exporter.export(one_span())
    exporter.shutdown()
    return time.monotonic() - started, result


def one_span() -> tuple[ReadableSpan, ...]:
    memory = InMemorySpanExporter()
    send_a_span(memory)
    return memory.get_finished_spans()


def assert_one_of_each(recorder: Recorder) -> None:
    """The metrics reader may export once more at shutdown."""
    received = {signal: REQUESTS[signal].FromString(body) for signal, _, body in recorder.submitted}
    assert {signal: len(records(request)) for signal, request in received.items()} == dict.fromkeys(Signal, 1)
    assert records(received[Signal.TRACES])[0].name == "chat"
    assert records(received[Signal.LOGS])[0].body.string_value == "hello"
    assert records(received[Signal.METRICS])[0].name == "gen_ai.client.token.usage"
