"""OTLP building blocks shared by the dialects."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeAlias
from uuid import NAMESPACE_URL, uuid5

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from llmhub.traffic.calls import Failure
from llmhub.traffic.flows import Deployment, Step, Trace

if TYPE_CHECKING:  # these names are in the stubs only
    _Kind: TypeAlias = Span.SpanKind.ValueType
    _Code: TypeAlias = Status.StatusCode.ValueType

Value = str | bool | int | float | Sequence[str]

INTERNAL = Span.SPAN_KIND_INTERNAL
CLIENT = Span.SPAN_KIND_CLIENT
UNSET = Status.STATUS_CODE_UNSET
OK = Status.STATUS_CODE_OK
ERROR = Status.STATUS_CODE_ERROR


@dataclass(frozen=True, slots=True)
class Scope:
    """An instrumentation library."""

    name: str
    version: str
    schema_url: str = ""


def any_value(value: Value) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(array_value=ArrayValue(values=[any_value(one) for one in value]))


def key_values(pairs: dict[str, Value | None]) -> list[KeyValue]:
    """Attributes in order; None leaves one out."""
    return [KeyValue(key=key, value=any_value(value)) for key, value in pairs.items() if value is not None]


def put_string(span: Span, key: str, value: str) -> None:
    # add() and assigning is twice as fast as building the message and appending it.
    span.attributes.add(key=key).value.string_value = value


def put_int(span: Span, key: str, value: int) -> None:
    span.attributes.add(key=key).value.int_value = value


def put_float(span: Span, key: str, value: float) -> None:
    span.attributes.add(key=key).value.double_value = value


def new_span(trace: Trace, step: Step, name: str, kind: "_Kind", good: "_Code") -> Span:
    """A span with ids, times and status; `good` is the status code that the dialect gives to success."""
    span = Span(
        trace_id=trace.trace_id,
        span_id=step.span_id,
        parent_span_id=step.parent_id,
        name=name,
        kind=kind,
        start_time_unix_nano=step.start,
        end_time_unix_nano=step.end,
        flags=256,
    )
    if step.failure is not None:
        span.status.code = ERROR
        span.status.message = step.failure.message
    elif good != UNSET:
        span.status.code = good
    return span


def put_exception(span: Span, failure: Failure, time: int) -> None:
    """The event that SDKs add when an exception leaves a span; `time` is unix nanoseconds."""
    event = span.events.add(name="exception", time_unix_nano=time)
    event.attributes.extend(
        key_values(
            {
                "exception.type": failure.type,
                "exception.message": failure.message,
                "exception.stacktrace": f"Traceback (most recent call last):\n{failure.type}: {failure.message}",
                "exception.escaped": "False",
            }
        )
    )


@cache
def resource(deployment: Deployment) -> Resource:
    service = deployment.service
    instance = uuid5(NAMESPACE_URL, f"{service.name}/{deployment.environment}/{deployment.version}")
    return Resource(
        attributes=key_values(
            {
                "telemetry.sdk.language": "python",
                "telemetry.sdk.name": "opentelemetry",
                "telemetry.sdk.version": "1.45.2",
                "service.instance.id": str(instance),
                "deployment.environment.name": deployment.environment,
                "service.version": deployment.version,
                "service.name": service.name,
                "llm_hub.team": service.team,
            }
        )
    )
