"""The three OTLP signals and what the collector knows about each."""

from __future__ import annotations

from enum import StrEnum

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Signal(StrEnum):
    """Value = OTLP/HTTP path segment = suffix of the landing table."""

    TRACES = "traces"
    LOGS = "logs"
    METRICS = "metrics"


EVENTS = "events"
"""In counts of refusals the place of a signal: a request of plain events that was refused before it was read, and may
carry records of several signals."""

# Only for explaining a request that was refused, never for one that is on its way into the store.
REQUESTS: dict[Signal, type[Message]] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
}
