"""OTLP requests for tests."""

from __future__ import annotations

import os
import time
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SECOND = 1_000_000_000


def any_value(value: Any) -> AnyValue:
    """A Python value as an AnyValue; None is the one without a value."""
    result = AnyValue()
    if isinstance(value, bool):
        result.bool_value = value
    elif isinstance(value, int):
        result.int_value = value
    elif isinstance(value, float):
        result.double_value = value
    elif isinstance(value, str):
        result.string_value = value
    elif isinstance(value, bytes):
        result.bytes_value = value
    elif isinstance(value, list):
        result.array_value.SetInParent()
        result.array_value.values.extend(any_value(item) for item in value)
    elif isinstance(value, dict):
        result.kvlist_value.SetInParent()
        for key, item in value.items():
            result.kvlist_value.values.add(key=key).value.CopyFrom(any_value(item))
    return result


def span(attributes: dict[str, Any] | None = None, **fields: Any) -> Span:
    """A span of one second that ends now, with ids of its own."""
    now = time.time_ns()
    defaults = {
        "trace_id": os.urandom(16),
        "span_id": os.urandom(8),
        "name": "work",
        "start_time_unix_nano": now - SECOND,
        "end_time_unix_nano": now,
    }
    result = Span(**{**defaults, **fields})
    for key, value in (attributes or {}).items():
        result.attributes.add(key=key).value.CopyFrom(any_value(value))
    return result


def traces(*spans: Span, service: str = "shop", scope: str = "tests") -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = service
    scope_spans = resource.scope_spans.add()
    scope_spans.scope.name = scope
    scope_spans.spans.extend(spans)
    return request


def logs(body: Any, attributes: dict[str, Any] | None = None, **fields: Any) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    record = (
        request.resource_logs.add().scope_logs.add().log_records.add(**{"time_unix_nano": time.time_ns(), **fields})
    )
    record.body.CopyFrom(any_value(body))
    for key, value in (attributes or {}).items():
        record.attributes.add(key=key).value.CopyFrom(any_value(value))
    return request


def gauge(name: str, value: float, **fields: Any) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=name)
    metric.gauge.data_points.add(**{"time_unix_nano": time.time_ns(), "as_double": value, **fields})
    return request


def call(**attributes: Any) -> Span:
    """A successful chat span of the OpenTelemetry conventions; keyword `a__b` is attribute `gen_ai.a.b`."""
    base = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.usage.input_tokens": 120,
        "gen_ai.usage.output_tokens": 42,
    }
    return span({**base, **{f"gen_ai.{name.replace('__', '.')}": value for name, value in attributes.items()}}, kind=3)
