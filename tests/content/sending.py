"""Spans and log records with content, straight into a store."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from collector.envelope import Envelope, wrap
from collector.signals import Signal
from storage.embedded import EmbeddedStore
from tests.collector.direct import store_whole

NOW = 1_800_000_000_000_000_000
RECORDINGS = Path(str(resources.files("llmhub").joinpath("recordings")))
_numbers = itertools.count(1_000_000)


def span(
    attributes: Mapping[str, str], *, events: Sequence[tuple[str, Mapping[str, str]]] = (), scope: str = ""
) -> bytes:
    """A request with one span of the service 'shop' and the span id 'aaaaaaaaaaaaaaaa'."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    _fill(resource.resource.attributes, {"service.name": "shop"})
    spans = resource.scope_spans.add()
    spans.scope.name = scope
    made = spans.spans.add()
    made.trace_id, made.span_id, made.name = bytes(15) + b"\x01", b"\xaa" * 8, "chat"
    made.start_time_unix_nano, made.end_time_unix_nano = NOW - 10**9, NOW
    _fill(made.attributes, attributes)
    for name, fields in events:
        _fill(made.events.add(name=name, time_unix_nano=NOW).attributes, fields)
    return request.SerializeToString()


def record(event_name: str, body: str = "", attributes: Mapping[str, str] | None = None) -> bytes:
    """A request with one log record of the same service and span."""
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    _fill(resource.resource.attributes, {"service.name": "shop"})
    made = resource.scope_logs.add().log_records.add(time_unix_nano=NOW, event_name=event_name)
    made.trace_id, made.span_id = bytes(15) + b"\x01", b"\xaa" * 8
    made.body.string_value = body
    _fill(made.attributes, attributes or {})
    return request.SerializeToString()


def chat(*texts: str, **extra: str) -> bytes:
    """A span of OpenTelemetry's convention whose messages are `texts`."""
    messages = [{"role": "user", "parts": [{"type": "text", "content": text}]} for text in texts]
    return span({"gen_ai.operation.name": "chat", "gen_ai.input.messages": json.dumps(messages), **extra})


def send(store: EmbeddedStore, tenant: str, *bodies: bytes, signal: Signal = Signal.TRACES) -> None:
    store_whole(store, [envelope(signal, tenant, body) for body in bodies])


def envelope(signal: Signal, tenant: str, body: bytes) -> Envelope:
    return wrap(signal, tenant, body, request_id=next(_numbers), received_ns=NOW)


def content(store: EmbeddedStore, tenant: str) -> list[dict[str, Any]]:
    sql = (
        "SELECT DISTINCT direction, position, role, length, text, hash FROM llm_call_content "
        "WHERE tenant = {t:String} ORDER BY source, direction, position"
    )
    return store.rows(sql, params={"t": tenant})


def texts(store: EmbeddedStore, tenant: str) -> list[str]:
    return [row["text"] for row in content(store, tenant)]


def _fill(attributes: Any, values: Mapping[str, str]) -> None:
    for key, value in values.items():
        pair = KeyValue(key=key)
        pair.value.string_value = value
        attributes.append(pair)
