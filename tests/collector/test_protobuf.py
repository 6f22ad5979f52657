from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.protobuf import WireError, encode_varint, explain, fields, len_prefix, varint
from tests.collector.requests import span, traces


@given(st.integers(min_value=0, max_value=2**64 - 1))
def test_a_varint_survives_encoding_and_decoding(value: int) -> None:
    encoded = encode_varint(value)
    assert varint(encoded, 0, len(encoded)) == (value, len(encoded))


@given(st.lists(st.tuples(st.integers(1, 1000), st.binary(max_size=300))))
def test_fields_finds_every_length_delimited_field(parts: list[tuple[int, bytes]]) -> None:
    data = b"".join(len_prefix(number, len(payload)) + payload for number, payload in parts)
    assert [(f.number, data[f.start : f.end]) for f in fields(data)] == parts


@given(st.binary(max_size=400))
def test_any_bytes_are_fields_or_a_wire_error(data: bytes) -> None:
    found, problem = [], ""
    try:
        found = list(fields(data))
    except WireError as error:
        problem = str(error)
    assert "byte" in problem or all(f.start <= f.end <= len(data) for f in found)


def test_a_whole_request_needs_no_explanation() -> None:
    assert explain(traces(span({"a": [1, {"b": "c"}]})).SerializeToString(), ExportTraceServiceRequest) is None


def test_the_explanation_names_the_record_that_is_broken() -> None:
    good = span().SerializeToString()
    broken = good[:-3]
    scope = b"".join(len_prefix(2, len(part)) + part for part in (good, broken))
    resource = len_prefix(2, len(scope)) + scope
    problem = explain(len_prefix(1, len(resource)) + resource, ExportTraceServiceRequest)
    assert problem is not None
    assert problem.startswith("resource_spans[0].scope_spans[0].spans[1]: byte ")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x0a\x05abc", "byte 0: field 1 announces 5 bytes, 3 are left"),
        (b"\x0b", "byte 0: wire type 3 is not in use"),
        (b"\x02\x00", "byte 0: field number 0"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "byte 0: a number does not end"),
        (b"\x09abc", "byte 0: field 1 announces 8 bytes, 3 are left"),
    ],
)
def test_a_broken_field_is_told_with_its_place(data: bytes, problem: str) -> None:
    with pytest.raises(WireError, match=problem):
        list(fields(data))
