"""What a sender gets back: response bytes of an acknowledged export, status of a failed one.

Which failure becomes which code is decided here and nowhere else, after
https://opentelemetry.io/docs/specs/otlp/#failures and
https://opentelemetry.io/docs/specs/otlp/#failures-1 (HTTP). What is not in the table is retryable.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import grpc
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector.errors import InvalidRequest, Overloaded, Unavailable
from collector.pipeline import Acknowledgement, Signal
from receivers.intake import Refusal, Refused

PROTOBUF = "application/x-protobuf"
JSON = "application/json"

_STORED = {PROTOBUF: b"", JSON: b"{}"}

_GRPC = grpc.StatusCode
_CODES: dict[type[Exception] | Refusal, tuple[grpc.StatusCode, int]] = {
    InvalidRequest: (_GRPC.INVALID_ARGUMENT, 400),
    Overloaded: (_GRPC.RESOURCE_EXHAUSTED, 429),
    Unavailable: (_GRPC.UNAVAILABLE, 503),
    # Not RESOURCE_EXHAUSTED: the Python SDK sends that again even without a RetryInfo.
    Refusal.TOO_LARGE: (_GRPC.INVALID_ARGUMENT, 413),
    Refusal.BAD_ENCODING: (_GRPC.INVALID_ARGUMENT, 400),
    Refusal.BAD_JSON: (_GRPC.INVALID_ARGUMENT, 400),
    Refusal.UNSUPPORTED_ENCODING: (_GRPC.UNIMPLEMENTED, 415),
    Refusal.UNSUPPORTED_MEDIA_TYPE: (_GRPC.UNIMPLEMENTED, 415),
    Refusal.NOT_FOUND: (_GRPC.UNIMPLEMENTED, 404),
    Refusal.METHOD_NOT_ALLOWED: (_GRPC.UNIMPLEMENTED, 405),
    Refusal.NO_ROOM: (_GRPC.RESOURCE_EXHAUSTED, 429),
    Refusal.BODY_TIMEOUT: (_GRPC.DEADLINE_EXCEEDED, 408),
}
_UNEXPECTED = (_GRPC.UNAVAILABLE, 503)
_UNEXPECTED_RETRY_SECONDS = 5.0
_UNEXPECTED_TEXT = (
    "The hub failed to handle this request, which may be perfectly good. "
    "Send it again later; the hub's log says what happened."
)


@dataclass(frozen=True)
class Failure:
    """A failed export in the terms of both transports. `retry_after` is in seconds, None when permanent."""

    grpc_code: grpc.StatusCode
    http_code: int
    status: Status
    retry_after: float | None

    def http_headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(max(1, math.ceil(self.retry_after)))}

    def grpc_metadata(self) -> tuple[tuple[str, bytes], ...]:
        """Trailing metadata: the status as gRPC carries it and, because the OpenTelemetry Python SDK
        looks only there, the RetryInfo by itself."""
        details = (("grpc-status-details-bin", self.status.SerializeToString()),)
        if self.retry_after is None:
            return details
        return (*details, ("google.rpc.retryinfo-bin", _retry_info(self.retry_after).SerializeToString()))


def success(signal: Signal, acknowledgement: Acknowledgement, media_type: str = PROTOBUF) -> bytes:
    """An Export*ServiceResponse; `partial_success` is set only if records were rejected or there is a warning."""
    if not acknowledgement.rejected and not acknowledgement.reason:
        return _STORED[media_type]
    return encode(_partial_success(signal, acknowledgement), media_type)


def encode(message: Message, media_type: str) -> bytes:
    return MessageToJson(message, indent=None).encode() if media_type == JSON else message.SerializeToString()


def failure(error: Exception) -> Failure:
    """The verdict on any exception of a receiver, a tenant resolver or the pipeline."""
    codes = _codes(error)
    retry_after = getattr(error, "retry_after", None)
    if codes is None:
        codes, retry_after = _UNEXPECTED, _UNEXPECTED_RETRY_SECONDS
        status = Status(message=_UNEXPECTED_TEXT)
    else:
        status = Status(message=str(error))
    grpc_code, http_code = codes
    status.code = grpc_code.value[0]
    _add_details(status, error, http_code, retry_after)
    return Failure(grpc_code, http_code, status, retry_after)


def is_expected(error: Exception) -> bool:
    """False for an exception that points at a defect of the hub and belongs in its log."""
    return _codes(error) is not None


def _codes(error: Exception) -> tuple[grpc.StatusCode, int] | None:
    if isinstance(error, Refused):
        return _CODES[error.reason]
    return next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), None)


def _add_details(status: Status, error: Exception, http_code: int, retry_after: float | None) -> None:
    if retry_after is not None:
        status.details.add().Pack(_retry_info(retry_after))
    elif http_code == 400:
        violation = BadRequest.FieldViolation(field=getattr(error, "field", ""), description=str(error))
        status.details.add().Pack(BadRequest(field_violations=[violation]))


def _retry_info(seconds: float) -> RetryInfo:
    info = RetryInfo()
    info.retry_delay.FromNanoseconds(int(seconds * 1e9))
    return info


def _partial_success(signal: Signal, acknowledgement: Acknowledgement) -> Message:
    rejected, reason = acknowledgement.rejected, acknowledgement.reason
    if signal is Signal.TRACES:
        traces = ExportTraceServiceResponse()
        traces.partial_success.rejected_spans, traces.partial_success.error_message = rejected, reason
        return traces
    if signal is Signal.LOGS:
        logs = ExportLogsServiceResponse()
        logs.partial_success.rejected_log_records, logs.partial_success.error_message = rejected, reason
        return logs
    metrics = ExportMetricsServiceResponse()
    metrics.partial_success.rejected_data_points, metrics.partial_success.error_message = rejected, reason
    return metrics
