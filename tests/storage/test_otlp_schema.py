"""AnyValue keeps its type and value on the way into ClickHouse, whatever its depth."""

from __future__ import annotations

import base64
import json
import math
import os
import random
from typing import Any

import pytest

from collector.envelope import wrap
from collector.signals import Signal
from storage import otlp_schema
from storage.embedded import EmbeddedStore
from tests.collector.direct import store_whole
from tests.collector.requests import logs, span, traces

STRINGS = ("", "text", '"', "\\", "a/b", "\n\t\u0001", "日本", '{"t":"s","s":"x"}', '],"A":0}}', ',"P":0}', "[]")
NUMBERS = (0, 1, -1, 2**63 - 1, -(2**63), 0.0, 0.7, 1e300, -1e-9)


def scalar(rng: random.Random) -> Any:
    return rng.choice([None, True, False, *NUMBERS, *STRINGS])


def value(rng: random.Random, depth: int, *, in_array: bool = False) -> Any:
    """What the schema can hold at `depth`: an array within an array has scalars only."""
    kind = rng.choice(["scalar", "array", "kvlist"]) if depth else "scalar"
    if kind == "array":
        return [scalar(rng) if in_array else value(rng, depth - 1, in_array=True) for _ in range(rng.randrange(4))]
    if kind == "kvlist":
        return {rng.choice(STRINGS) + str(number): value(rng, depth - 1) for number in range(rng.randrange(4))}
    return scalar(rng)


def store_span(store: EmbeddedStore, attributes: dict[str, Any]) -> dict[str, str]:
    """The attributes as otel_traces gives them back."""
    span_id = os.urandom(8)
    body = traces(span(attributes, span_id=span_id)).SerializeToString()
    write(store, Signal.TRACES, body)
    rows = store.rows("SELECT SpanAttributes FROM otel_traces WHERE SpanId = {id:String}", params={"id": span_id.hex()})
    return dict(rows[0]["SpanAttributes"])


def write(store: EmbeddedStore, signal: Signal, body: bytes) -> None:
    envelope = wrap(signal, "anyvalue", body, request_id=int.from_bytes(os.urandom(6)), received_ns=2**60 + 10**18)
    store_whole(store, [envelope])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", ""),
        ("text", "text"),
        (0, "0"),
        (-(2**63), str(-(2**63))),
        (False, "false"),
        (True, "true"),
        (0.0, "0"),
        (0.7, "0.7"),
        (math.inf, "inf"),
        (b"\x00\xff", base64.b64encode(b"\x00\xff").decode()),
        (None, ""),
        ([], "[]"),
        ({}, "{}"),
        (["stop"], '["stop"]'),
        ([0, False, "", None], '[0,false,"",null]'),
        ({"a": {"b": [1, "2"]}}, '{"a":{"b":[1,"2"]}}'),
        ([math.nan, b"x"], '[null,"(bytes)"]'),
        (['{"t":"s","s":"x"}'], '["{\\"t\\":\\"s\\",\\"s\\":\\"x\\"}"]'),
        (["a/b", "\\", '"'], '["a/b","\\\\","\\""]'),
    ],
)
def test_a_value_is_stored_as_the_clickhouse_exporter_stores_it(
    store: EmbeddedStore, llm_store: EmbeddedStore, value: Any, text: str
) -> None:
    assert store_span(llm_store, {"k": value}) == {"k": text}


@pytest.mark.parametrize("seed", range(3))
def test_arrays_and_kvlists_become_the_json_they_mean(llm_store: EmbeddedStore, seed: int) -> None:
    rng = random.Random(seed)
    candidates = [value(rng, otlp_schema.NESTED_DEPTH) for _ in range(900)]
    values = [item for item in candidates if isinstance(item, list | dict)]
    stored = store_span(llm_store, {f"k{number}": item for number, item in enumerate(values)})
    assert [json.loads(stored[f"k{number}"]) for number in range(len(values))] == values


def test_what_lies_too_deep_is_named_in_its_place_and_its_neighbours_are_kept(llm_store: EmbeddedStore) -> None:
    value: Any = {"bottom": 1}
    for _ in range(otlp_schema.NESTED_DEPTH):
        value = {"next": value, "neighbour": 0}
    expected: Any = otlp_schema.DEEPER
    for _ in range(otlp_schema.NESTED_DEPTH):
        expected = {"next": expected, "neighbour": 0}
    assert json.loads(store_span(llm_store, {"k": value})["k"]) == expected


def test_an_array_in_an_array_holds_scalars(llm_store: EmbeddedStore) -> None:
    stored = json.loads(store_span(llm_store, {"k": [[1, "2"], [], [[3]], [{"a": 4}]]})["k"])
    assert stored == [[1, "2"], [], [otlp_schema.DEEPER], [otlp_schema.DEEPER]]


def test_a_structured_log_body_and_attributes_become_json(llm_store: EmbeddedStore) -> None:
    messages = [
        {
            "role": "user",
            "parts": [{"type": "text", "content": "hi"}, {"type": "tool_call", "arguments": {"city": "Paris"}}],
        }
    ]
    trace_id = os.urandom(16)
    write(
        llm_store,
        Signal.LOGS,
        logs(
            {"index": 0, "message": {"content": "hi"}}, {"app.messages": messages}, trace_id=trace_id
        ).SerializeToString(),
    )
    (row,) = llm_store.rows(
        "SELECT Body, LogAttributes FROM otel_logs WHERE TraceId = {id:String}", params={"id": trace_id.hex()}
    )
    assert json.loads(row["Body"]) == {"index": 0, "message": {"content": "hi"}}
    assert json.loads(row["LogAttributes"]["app.messages"]) == messages


def test_broken_utf8_in_a_nested_value_is_replaced_and_the_json_stays_json(llm_store: EmbeddedStore) -> None:
    span_id = os.urandom(8)
    body = traces(span({"k": ["B__UTF"]}, span_id=span_id)).SerializeToString()
    write(llm_store, Signal.TRACES, body.replace(b"B__UTF", b"B\xff\xfeUTF"))
    rows = llm_store.rows(
        "SELECT SpanAttributes FROM otel_traces WHERE SpanId = {id:String}", params={"id": span_id.hex()}
    )
    assert json.loads(rows[0]["SpanAttributes"]["k"]) == ["B\ufffdUTF"]
