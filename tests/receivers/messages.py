"""Hypothesis strategies for random OTLP messages, and their OTLP/JSON written independently of the converter."""

from __future__ import annotations

import base64
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from collector.pipeline import Signal
from collector.signals import REQUESTS

IDS = {"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"}
_F = FieldDescriptor
_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    _F.TYPE_STRING: st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    _F.TYPE_BYTES: st.binary(max_size=16),
    _F.TYPE_BOOL: st.booleans(),
    _F.TYPE_DOUBLE: st.floats(allow_nan=False),
    _F.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    _F.TYPE_SINT32: st.integers(-(2**31), 2**31 - 1),
    _F.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    _F.TYPE_SFIXED64: st.integers(-(2**63), 2**63 - 1),
    _F.TYPE_UINT32: st.integers(0, 2**32 - 1),
    _F.TYPE_FIXED32: st.integers(0, 2**32 - 1),
    _F.TYPE_UINT64: st.integers(0, 2**64 - 1),
    _F.TYPE_FIXED64: st.integers(0, 2**64 - 1),
    _F.TYPE_ENUM: st.integers(0, 7),
}


@st.composite
def requests(draw: st.DrawFn, signal: Signal) -> Message:
    """Any valid request: every field of every message may be there."""
    message = REQUESTS[signal]()
    _fill(draw, message, depth=0)
    return message


@st.composite
def plausible_requests(draw: st.DrawFn, signal: Signal) -> Message:
    """Any request with records that have what every real one has: ids, a time or a name."""
    message = draw(requests(signal))
    for record in records(message):
        if signal is Signal.TRACES:
            record.trace_id, record.span_id = (
                draw(st.binary(min_size=16, max_size=16)),
                draw(st.binary(min_size=8, max_size=8)),
            )
            record.start_time_unix_nano = draw(st.integers(1, 2**63))
        elif signal is Signal.LOGS:
            record.time_unix_nano = draw(st.integers(1, 2**63))
        else:
            record.name = draw(st.text("abcdefghijklmnop._", min_size=1, max_size=20))
    return message


def records(message: Any) -> list[Any]:
    """Its spans, log records or metrics."""
    resources = getattr(message, message.DESCRIPTOR.fields[0].name)
    scopes = [scope for resource in resources for scope in getattr(resource, resource.DESCRIPTOR.fields[1].name)]
    return [record for scope in scopes for record in getattr(scope, scope.DESCRIPTOR.fields[1].name)]


def otlp_json(message: Message, *, enum_names: bool = False, proto_names: bool = False) -> Any:
    """As json_format writes it, the ids in hexadecimal."""
    document = json_format.MessageToDict(
        message, use_integers_for_enums=not enum_names, preserving_proto_field_name=proto_names
    )
    return _with_hex_ids(document)


def _with_hex_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_hex_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: base64.b64decode(item).hex() if key in IDS else _with_hex_ids(item) for key, item in value.items()}


def _fill(draw: st.DrawFn, message: Message, depth: int) -> None:
    for field in _chosen(draw, message):
        if field.message_type is not None:
            _fill_submessage(draw, message, field, depth)
        elif field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(_SCALARS[field.type], max_size=3)))
        else:
            setattr(message, field.name, draw(_SCALARS[field.type]))


def _fill_submessage(draw: st.DrawFn, message: Message, field: FieldDescriptor, depth: int) -> None:
    if depth > 12:
        return
    target = getattr(message, field.name)
    if not field.is_repeated:
        target.SetInParent()
        _fill(draw, target, depth + 1)
        return
    for _ in range(draw(st.integers(0 if depth else 1, 2))):
        _fill(draw, target.add(), depth + 1)


def _chosen(draw: st.DrawFn, message: Message) -> list[Any]:
    """Some of the fields, at most one of a oneof; the way down to the records is always among them."""
    plain: list[Any] = [
        f for f in message.DESCRIPTOR.fields if f.containing_oneof is None or len(f.containing_oneof.fields) == 1
    ]
    fields = [f for f in plain if f.is_repeated and f.message_type is not None and f.name != "entity_refs"]
    rest = [f for f in plain if f not in fields]
    fields += draw(st.lists(st.sampled_from(rest), unique=True, max_size=5)) if rest else []
    for oneof in message.DESCRIPTOR.oneofs:
        if len(oneof.fields) > 1:
            fields.append(draw(st.sampled_from(list(oneof.fields))))
    return fields
