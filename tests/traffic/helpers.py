"""Reading exports back with the generated OTLP classes."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from llmhub.traffic import Export, default_world, generate

# Monday to Tuesday, 9 March 2026.
MONDAY = datetime(2026, 3, 9, tzinfo=UTC)


class Read(NamedTuple):
    """A span with what is above it; attributes as Python values."""

    resource: dict[str, Any]
    scope: str
    span: Span
    attributes: dict[str, Any]


def play(start: datetime, end: datetime, *, rate: float = 0.5, seed: int = 7, **packing: Any) -> list[Export]:
    return list(generate(default_world(), start=start, end=end, rate=rate, seed=seed, **packing))


def read(exports: Iterable[Export]) -> Iterator[Read]:
    for export in exports:
        for of_resource in ExportTraceServiceRequest.FromString(export.body).resource_spans:
            resource = values(of_resource.resource.attributes)
            for of_scope in of_resource.scope_spans:
                for span in of_scope.spans:
                    yield Read(resource, of_scope.scope.name, span, values(span.attributes))


def values(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    return {attribute.key: value(attribute.value) for attribute in attributes}


def value(any_value: AnyValue) -> Any:
    kind = any_value.WhichOneof("value")
    if kind == "array_value":
        return [value(one) for one in any_value.array_value.values]
    return getattr(any_value, kind) if kind else None
