from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.pipeline import Signal
from collector.signals import REQUESTS
from receivers.intake import Refusal, Refused
from receivers.otlp_json import MAX_DEPTH, to_protobuf
from tests.receivers.messages import otlp_json, requests

SLOW = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
signals = st.sampled_from(list(Signal))


def decoded(signal: Signal, body: bytes) -> Message:
    message = REQUESTS[signal]()
    message.ParseFromString(to_protobuf(signal, body))
    return message


def span(value: Any) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [value]}]}]}).encode()


def only_span(body: bytes) -> Any:
    request = ExportTraceServiceRequest()
    request.ParseFromString(to_protobuf(Signal.TRACES, body))
    return request.resource_spans[0].scope_spans[0].spans[0]


def refusal(body: bytes, signal: Signal = Signal.TRACES) -> str:
    with pytest.raises(Refused) as caught:
        to_protobuf(signal, body)
    assert caught.value.reason is Refusal.BAD_JSON
    return str(caught.value)


@SLOW
@given(st.data(), signals, st.booleans(), st.booleans())
def test_every_request_survives_the_way_through_json(
    data: st.DataObject, signal: Signal, enum_names: bool, proto_names: bool
) -> None:
    message = data.draw(requests(signal))
    document = otlp_json(message, enum_names=enum_names, proto_names=proto_names)
    assert decoded(signal, json.dumps(document).encode()) == message


@SLOW
@given(
    signals,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["resourceSpans", "scopeSpans", "spans", "traceId", "attributes", "key", "value", "kind"]
                ),
                inner,
            )
        ),
    ),
)
def test_any_json_is_converted_or_refused(signal: Signal, document: Any) -> None:
    with suppress(Refused):
        decoded(signal, json.dumps(document).encode())


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_converted_or_refused(body: bytes) -> None:
    with suppress(Refused):
        decoded(Signal.LOGS, body)


def test_ids_are_hexadecimal_of_either_case() -> None:
    value = {"traceId": "5B8EFFF798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "parentSpanId": ""}
    got = only_span(span(value))
    assert got.trace_id.hex() == "5b8efff798038103d269b633813fc60c"
    assert got.span_id.hex() == "eee19b7ec3c1b174"
    assert got.parent_span_id == b""


@pytest.mark.parametrize("time", [1795409305188753029, "1795409305188753029"])
def test_a_64_bit_integer_is_a_number_or_a_string(time: int | str) -> None:
    assert only_span(span({"startTimeUnixNano": time})).start_time_unix_nano == 1795409305188753029


@pytest.mark.parametrize("kind", [3, "3", 3.0, "SPAN_KIND_CLIENT"])
def test_an_enum_is_a_number_or_a_name(kind: Any) -> None:
    assert only_span(span({"kind": kind})).kind == 3


def test_zero_false_and_the_empty_string_stay_values() -> None:
    values = [{"intValue": "0"}, {"boolValue": False}, {"stringValue": ""}, {"doubleValue": 0}, {"arrayValue": {}}]
    attributes = [{"key": "k", "value": value} for value in values]
    kinds = [a.value.WhichOneof("value") for a in only_span(span({"attributes": attributes})).attributes]
    assert kinds == ["int_value", "bool_value", "string_value", "double_value", "array_value"]


def test_unknown_fields_and_nulls_are_ignored() -> None:
    got = only_span(span({"name": "chat", "traceId": None, "novelty": {"traceId": 5}}))
    assert (got.name, got.trace_id) == ("chat", b"")


def test_an_empty_export_is_no_error() -> None:
    assert to_protobuf(Signal.TRACES, b"{}") == b""
    assert to_protobuf(Signal.TRACES, b'{"resourceSpans": []}') == b""


PATH = "$.resourceSpans[0].scopeSpans[0].spans[0]"


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (7, f"{PATH}: expected an object (Span), got the number 7."),
        (None, f"{PATH}: expected an object (Span), got null."),
        ({"name": 5}, f"{PATH}.name: expected a string, got the number 5."),
        (
            {"name": "\ud800"},
            f"{PATH}.name: the string has an unpaired surrogate (\\ud800 to \\udfff), which is no character.",
        ),
        (
            {"traceId": "W47/95gDgQPSabYzgT/GDA=="},
            f"{PATH}.traceId: expected an id in hexadecimal, got the string 'W47/95gDgQPSabYzgT/GDA=='; "
            "OTLP/JSON writes ids in hexadecimal, not in base64.",
        ),
        ({"startTimeUnixNano": "soon"}, f"{PATH}.startTimeUnixNano: expected an integer, got the string 'soon'."),
        ({"startTimeUnixNano": True}, f"{PATH}.startTimeUnixNano: expected an integer, got true."),
        (
            {"startTimeUnixNano": -1},
            f"{PATH}.startTimeUnixNano: the number -1 is out of range (0 to 18446744073709551615).",
        ),
        ({"kind": "CLIENT"}, f"{PATH}.kind: expected a number or a name of SpanKind, got the string 'CLIENT'."),
        ({"attributes": {}}, f"{PATH}.attributes: expected an array, got an object."),
        (
            {"attributes": [{}, {"key": "k", "value": {"intValue": 1.5}}]},
            f"{PATH}.attributes[1].value.intValue: expected an integer, got the number 1.5.",
        ),
        (
            {"attributes": [{"key": "k", "value": {"intValue": 1, "stringValue": "1"}}]},
            f"{PATH}.attributes[0].value: has intValue and stringValue, but only one of them can be set.",
        ),
        (
            {"attributes": [{"key": "k", "value": {"bytesValue": "%"}}]},
            f"{PATH}.attributes[0].value.bytesValue: expected bytes in base64, got the string '%'.",
        ),
    ],
)
def test_an_error_says_where_and_what(value: Any, error: str) -> None:
    assert refusal(span(value)) == error


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "This is empty. An export without records is {}."),
        (b'{\n"resourceSpans": [,]}', "This is not JSON: Expecting value at line 2, column 19."),
        (b'{"a": "\xff"}', "This is not JSON: it is no valid UTF-8 (invalid start byte at byte 7)."),
        (b"[" * 100_000, "This nests too deeply."),
        (
            b'{"resourceSpans": [{"scopeSpans": [], "scopeSpans": [{}]}]}',
            "'scopeSpans' stands twice in one object. Send it once.",
        ),
        (b"[]", "$: expected an object (ExportTraceServiceRequest), got an array."),
        (
            b'{"resourceLogs": []}',
            "This is a logs request, sent as traces. Send it to /v1/logs.",
        ),
    ],
)
def test_a_body_that_is_no_request_is_refused(body: bytes, error: str) -> None:
    assert refusal(body) == error


def test_an_integer_of_thousands_of_digits_is_refused() -> None:
    assert refusal(b'{"resourceSpans": ' + b"9" * 5000 + b"}").endswith("has 5000 digits. Send it as a text.")


def test_millions_of_empty_lists_are_refused_before_they_are_made_and_the_densest_telemetry_is_not() -> None:
    empty = b'{"resourceSpans": [], "x": [%s[]]}' % (b"[]," * 30_000)
    assert refusal(empty) == "This is hardly more than brackets. Leave empty lists and objects out."
    value = {"arrayValue": {"values": [{"intValue": 1}] * 10_000}}
    assert len(only_span(span({"attributes": [{"key": "k", "value": value}]})).attributes) == 1


def test_values_nest_as_deep_as_protobuf_parsers_read() -> None:
    def nested(levels: int) -> bytes:
        value: Any = {"intValue": 1}
        for _ in range(levels):
            value = {"arrayValue": {"values": [value]}}
        return span({"attributes": [{"key": "k", "value": value}]})

    fitting = (MAX_DEPTH - 6) // 2
    assert only_span(nested(fitting)).attributes[0].key == "k"
    assert refusal(nested(fitting + 1)).endswith(f"nested deeper than {MAX_DEPTH} messages.")
    assert "nest" in refusal(nested(300))
