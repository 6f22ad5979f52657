"""Small, complete export requests in protobuf and JSON."""

from __future__ import annotations

import json

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.pipeline import Signal

TIME = 1_795_409_305_188_753_029


def traces(spans: int = 1) -> bytes:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(spans):
        span = scope.spans.add(trace_id=b"t" * 16, span_id=number.to_bytes(8), name="chat", start_time_unix_nano=TIME)
        span.attributes.add(key="gen_ai.request.model").value.string_value = "gpt-4o-mini"
    return request.SerializeToString()


def logs() -> bytes:
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=TIME)
    record.body.string_value = "hello"
    return request.SerializeToString()


def metrics() -> bytes:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="tokens", unit="1")
    metric.sum.data_points.add(time_unix_nano=TIME, as_int=5)
    return request.SerializeToString()


def span_json(name: str = "chat") -> bytes:
    span = {"traceId": "74" * 16, "spanId": "00" * 8, "name": name, "startTimeUnixNano": str(TIME)}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


PROTOBUF = {Signal.TRACES: traces(), Signal.LOGS: logs(), Signal.METRICS: metrics()}
