"""The unmodified OpenTelemetry SDK for Python and its exporters, up to the answer of a query."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.hub.process import Hub, until

CHAT: dict[str, str | int] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.usage.input_tokens": 1_000_000,
    "gen_ai.usage.output_tokens": 500_000,
}


def exporters(hub: Hub, transport: str) -> tuple[Any, Any, Any]:
    if transport == "grpc":
        endpoint = hub.url("OTLP gRPC")
        return GrpcSpans(endpoint=endpoint), GrpcLogs(endpoint=endpoint), GrpcMetrics(endpoint=endpoint)
    base = f"{hub.url('OTLP HTTP')}/v1"
    return HttpSpans(f"{base}/traces"), HttpLogs(f"{base}/logs"), HttpMetrics(f"{base}/metrics")


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_spans_logs_and_metrics_of_the_sdk_arrive(hub: Hub, service: str, transport: str) -> None:
    spans, logs, metrics = exporters(hub, transport)
    resource = Resource.create({"service.name": service})
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(spans))
    loggers = LoggerProvider(resource=resource)
    loggers.add_log_record_processor(SimpleLogRecordProcessor(logs))
    meters = MeterProvider([PeriodicExportingMetricReader(metrics, export_interval_millis=1e9)], resource)

    with tracers.get_tracer("shop").start_as_current_span("chat gpt-4o-mini", attributes=CHAT) as span:
        loggers.get_logger("shop").emit(body="hello", severity_text="INFO", timestamp=time.time_ns())
        meters.get_meter("shop").create_histogram("gen_ai.client.token.usage").record(100)
    for provider in (tracers, loggers, meters):
        provider.shutdown()

    trace_id = f"{span.get_span_context().trace_id:032x}"
    assert hub.rows(f"SELECT SpanName, TraceId FROM otel_traces WHERE ServiceName = '{service}'") == [
        {"SpanName": "chat gpt-4o-mini", "TraceId": trace_id}
    ]
    assert hub.rows(f"SELECT Body, TraceId FROM otel_logs WHERE ServiceName = '{service}'") == [
        {"Body": "hello", "TraceId": trace_id}
    ]
    assert hub.rows(f"SELECT MetricName, Sum FROM otel_metrics_histogram WHERE ServiceName = '{service}' LIMIT 1") == [
        {"MetricName": "gen_ai.client.token.usage", "Sum": 100}
    ]


def test_a_chat_span_is_a_priced_call_within_five_seconds(hub: Hub, service: str) -> None:
    tracers = TracerProvider(resource=Resource.create({"service.name": service}))
    tracers.add_span_processor(BatchSpanProcessor(GrpcSpans(endpoint=hub.url("OTLP gRPC")), schedule_delay_millis=500))
    tracers.get_tracer("shop").start_span("chat gpt-4o-mini", attributes=CHAT).end()
    sql = f"SELECT model, input_tokens, output_tokens, cost, price_version FROM llm_calls WHERE service = '{service}'"
    (row,) = until(lambda: hub.rows(sql), seconds=5)
    tracers.shutdown()
    # 0.15 USD for a million input tokens, 0.60 for a million output tokens.
    assert (row["model"], row["input_tokens"], row["output_tokens"]) == ("gpt-4o-mini-2024-07-18", 1_000_000, 500_000)
    assert row["cost"] == pytest.approx(0.45)
    assert row["price_version"]


def test_the_sdk_has_nothing_to_complain_about(hub: Hub, service: str, caplog: pytest.LogCaptureFixture) -> None:
    spans, *_ = exporters(hub, "grpc")
    with caplog.at_level(logging.WARNING):
        tracers = TracerProvider(resource=Resource.create({"service.name": service}))
        tracers.add_span_processor(BatchSpanProcessor(spans))
        tracers.get_tracer("shop").start_span("work").end()
        tracers.shutdown()
    assert caplog.messages == []
