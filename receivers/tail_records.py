"""OTLP requests as single records for people's eyes, under the column names of the otel_ tables.

This unpacks in Python what the collector leaves to ClickHouse. It runs for viewers only, and off the event loop.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.signals import Signal
from receivers.tail_filter import Glance
from storage.content import ContentKeys

Columns = dict[str, Any]
Record = tuple[Glance, Callable[[], Columns]]

MAX_ATTRIBUTES = 128
_CUT = "…"
_GENAI_KEYS = ("gen_ai.", "llm.")
_SPAN_KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
_STATUS_CODES = ("Unset", "Ok", "Error")
_ERROR_STATUS, _ERROR_SEVERITY = 2, 17


@dataclass(frozen=True)
class Shown:
    """How much a viewer gets to see: texts up to `value_chars` characters; prompts and answers with `content`."""

    value_chars: int = 256
    content: bool = False
    content_keys: ContentKeys = field(default_factory=ContentKeys)

    def text(self, text: str) -> str:
        return text if len(text) <= self.value_chars else text[: self.value_chars] + _CUT

    def attributes(self, attributes: Iterable[KeyValue], scope: str = "") -> dict[str, str]:
        found: dict[str, str] = {}
        left_out = 0
        for item in attributes:
            if len(found) >= MAX_ATTRIBUTES:
                left_out += 1
            elif self.content or not self.content_keys.has(item.key, scope):
                found[self.text(item.key)] = self.value(item.value)
        return {**found, _CUT: f"{left_out} more"} if left_out else found

    def value(self, value: AnyValue) -> str:
        return self.text("".join(_pieces(value, self.value_chars + 1)))

    def body(self, record: LogRecord) -> str:
        """GenAI instrumentations write prompts and answers into the bodies of their events."""
        is_event = record.event_name or any(
            item.key in ("event.name", "event_name") or item.key.startswith(_GENAI_KEYS) for item in record.attributes
        )
        return "" if is_event and not self.content else self.value(record.body)


def records(signal: Signal, tenant: str, body: bytes, shown: Shown) -> Iterator[Record]:
    """The records of one request, each with a function that makes its columns. Raises DecodeError."""
    return _READERS[signal](tenant, body, shown)


def _spans(tenant: str, body: bytes, shown: Shown) -> Iterator[Record]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = _service(resource.resource)
        for scope in resource.scope_spans:
            for span in scope.spans:
                is_error = span.status.code == _ERROR_STATUS
                glance = Glance(Signal.TRACES, tenant, service, span.name, is_error, span.trace_id, span.attributes)

                def columns(
                    glance: Glance = glance,
                    resource: Resource = resource.resource,
                    scope: InstrumentationScope = scope.scope,
                    span: Span = span,
                ) -> Columns:
                    return {**_origin(glance, resource, scope, shown), **_span(span, scope.name, shown)}

                yield glance, columns


def _logs(tenant: str, body: bytes, shown: Shown) -> Iterator[Record]:
    for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
        service = _service(resource.resource)
        for scope in resource.scope_logs:
            for log in scope.log_records:
                is_error = log.severity_number >= _ERROR_SEVERITY
                glance = Glance(Signal.LOGS, tenant, service, log.event_name, is_error, log.trace_id, log.attributes)

                def columns(
                    glance: Glance = glance,
                    resource: Resource = resource.resource,
                    scope: InstrumentationScope = scope.scope,
                    log: LogRecord = log,
                ) -> Columns:
                    return {**_origin(glance, resource, scope, shown), **_log(log, shown)}

                yield glance, columns


def _points(tenant: str, body: bytes, shown: Shown) -> Iterator[Record]:
    for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
        service = _service(resource.resource)
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                for point in getattr(metric, kind).data_points if kind else ():
                    glance = Glance(Signal.METRICS, tenant, service, metric.name, False, b"", point.attributes)

                    def columns(
                        glance: Glance = glance,
                        resource: Resource = resource.resource,
                        scope: InstrumentationScope = scope.scope,
                        metric: Metric = metric,
                        point: Any = point,
                    ) -> Columns:
                        return {**_origin(glance, resource, scope, shown), **_point(metric, point, shown)}

                    yield glance, columns


_READERS: dict[Signal, Callable[[str, bytes, Shown], Iterator[Record]]] = {
    Signal.TRACES: _spans,
    Signal.LOGS: _logs,
    Signal.METRICS: _points,
}


def _origin(glance: Glance, resource: Resource, scope: InstrumentationScope, shown: Shown) -> Columns:
    return {
        "Signal": glance.signal,
        "Tenant": glance.tenant,
        "ServiceName": shown.text(glance.service),
        "ResourceAttributes": shown.attributes(resource.attributes),
        "ScopeName": shown.text(scope.name),
        "ScopeVersion": shown.text(scope.version),
    }


def _span(span: Span, scope: str, shown: Shown) -> Columns:
    return {
        "Timestamp": _time(span.start_time_unix_nano),
        "TraceId": span.trace_id.hex(),
        "SpanId": span.span_id.hex(),
        "ParentSpanId": span.parent_span_id.hex(),
        "SpanName": shown.text(span.name),
        "SpanKind": _named(_SPAN_KINDS, span.kind),
        "SpanAttributes": shown.attributes(span.attributes, scope),
        "Duration": max(0, span.end_time_unix_nano - span.start_time_unix_nano),
        "StatusCode": _named(_STATUS_CODES, span.status.code),
        "StatusMessage": shown.text(span.status.message),
        "Events": [
            {"Name": shown.text(event.name), "Attributes": shown.attributes(event.attributes)}
            for event in span.events[:MAX_ATTRIBUTES]
        ],
    }


def _log(log: LogRecord, shown: Shown) -> Columns:
    return {
        "Timestamp": _time(log.time_unix_nano or log.observed_time_unix_nano),
        "TraceId": log.trace_id.hex(),
        "SpanId": log.span_id.hex(),
        "SeverityText": shown.text(log.severity_text),
        "SeverityNumber": log.severity_number,
        "Body": shown.body(log),
        "LogAttributes": shown.attributes(log.attributes),
        "EventName": shown.text(log.event_name),
    }


def _point(metric: Metric, point: Any, shown: Shown) -> Columns:
    columns = {
        "TimeUnix": _time(point.time_unix_nano),
        "MetricName": shown.text(metric.name),
        "MetricUnit": shown.text(metric.unit),
        "Attributes": shown.attributes(point.attributes),
    }
    if hasattr(point, "as_int"):
        return {**columns, "Value": _finite(point.as_int if point.HasField("as_int") else point.as_double)}
    return {**columns, "Count": point.count, "Sum": _finite(point.sum)}


def _service(resource: Resource) -> str:
    return next((item.value.string_value for item in resource.attributes if item.key == "service.name"), "")


def _named(names: tuple[str, ...], number: int) -> str:
    return names[number] if 0 <= number < len(names) else str(number)


def _finite(number: float) -> float | str:
    """JSON has no infinity."""
    return number if abs(number) < float("inf") else str(number)


def _time(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 10**9)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"
    except (OverflowError, ValueError):
        return str(nanoseconds)


def _pieces(value: AnyValue, room: int) -> Iterator[str]:
    """The text of a value, nested ones as JSON, in pieces that stop when `room` characters are there."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        yield value.string_value
    elif kind == "bool_value":
        yield "true" if value.bool_value else "false"
    elif kind in ("int_value", "double_value"):
        yield str(getattr(value, kind))
    elif kind == "bytes_value":
        yield "(bytes)"
    elif kind in ("array_value", "kvlist_value"):
        for piece in _nested(value, room):
            yield piece
            room -= len(piece)
            if room <= 0:
                return


def _nested(value: AnyValue, room: int) -> Iterator[str]:
    """Deeper values are cut too, so that no length or depth of a sender's choosing costs more than `room`."""
    if value.WhichOneof("value") == "string_value":
        yield json.dumps(value.string_value[:room], ensure_ascii=False)
    elif value.WhichOneof("value") == "array_value":
        yield "["
        for number, item in enumerate(value.array_value.values):
            yield "," if number else ""
            yield from _nested(item, room)
        yield "]"
    elif value.WhichOneof("value") == "kvlist_value":
        yield "{"
        for number, pair in enumerate(value.kvlist_value.values):
            yield ("," if number else "") + json.dumps(pair.key[:room], ensure_ascii=False) + ":"
            yield from _nested(pair.value, room)
        yield "}"
    else:
        yield from _pieces(value, room)
