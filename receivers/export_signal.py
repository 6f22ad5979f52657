"""Which signal a protobuf Export*ServiceRequest carries, when nothing outside the bytes says so.

The three requests share their outer field numbers and differ in their records. So the bytes are
read as each of the three; a reading counts when every record looks like one.
"""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.pipeline import Signal

Plausible = Callable[[bytes], tuple[bool, int]]


def detect_signal(body: bytes) -> set[Signal]:
    """The signals that the bytes can be read as: one in practice, none for other data. A reading
    that leaves fields unread, as a newer or another protocol would, counts only if no other fits."""
    readings = {signal: read(body) for signal, read in _READINGS.items()}
    plausible = {signal: unread for signal, (fits, unread) in readings.items() if fits}
    least = min(plausible.values(), default=0)
    return {signal for signal, unread in plausible.items() if unread == least}


def _traces(body: bytes) -> tuple[bool, int]:
    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError:
        return False, 0
    spans = [s for resource in request.resource_spans for scope in resource.scope_spans for s in scope.spans]
    fits = all(s.start_time_unix_nano or (len(s.trace_id), len(s.span_id)) == (16, 8) for s in spans)
    return bool(spans) and fits, _unread(request, body)


def _logs(body: bytes) -> tuple[bool, int]:
    request = ExportLogsServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError:
        return False, 0
    records = [r for resource in request.resource_logs for scope in resource.scope_logs for r in scope.log_records]
    fits = all(r.time_unix_nano or r.observed_time_unix_nano or r.HasField("body") for r in records)
    return bool(records) and fits, _unread(request, body)


def _metrics(body: bytes) -> tuple[bool, int]:
    request = ExportMetricsServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError:
        return False, 0
    metrics = [m for resource in request.resource_metrics for scope in resource.scope_metrics for m in scope.metrics]
    fits = all(m.name and m.WhichOneof("data") for m in metrics)
    return bool(metrics) and fits, _unread(request, body)


def _unread(
    request: ExportTraceServiceRequest | ExportLogsServiceRequest | ExportMetricsServiceRequest, body: bytes
) -> int:
    request.DiscardUnknownFields()
    return len(body) - request.ByteSize()


_READINGS: dict[Signal, Plausible] = {Signal.TRACES: _traces, Signal.LOGS: _logs, Signal.METRICS: _metrics}
