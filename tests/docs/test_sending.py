"""docs/sending.md: the answers are those of the receivers, the attributes those of the alias table."""

from __future__ import annotations

import json
import re

import pytest

from collector.errors import InvalidRequest, Overloaded, Unavailable
from collector.pipeline import Signal
from receivers import otlp_json
from receivers.events import MAX_EVENTS
from receivers.events_otlp import SCHEMA
from receivers.intake import Refusal, Refused
from receivers.otlp_response import failure
from storage import data
from tests.docs.documents import blocks, document, rows, section

TEXT = document("docs/sending.md")
ANSWERS = rows(section(TEXT, "Answers"))
OTHER_FAILURES = {
    "not a valid request of this signal": InvalidRequest("x"),
    "too much waits to be stored": Overloaded("x", 1.0),
    "the store is away, the hub is stopping": Unavailable("x", 1.0),
    "an unexpected error": ValueError("x"),
}


def answer(situation: str) -> tuple[str, int, bool]:
    """gRPC code, HTTP code and whether to send again, as documented."""
    (row,) = [row for row in ANSWERS if row[0].startswith(situation)]
    return row[1].split()[0], int(row[2].split()[0]), row[3].startswith("yes")


@pytest.mark.parametrize("reason", Refusal)
def test_the_answer_to_a_refusal_is_documented(reason: Refusal) -> None:
    told = failure(Refused(reason, "x"))
    assert answer(f"`{reason}`") == (told.grpc_code.name, told.http_code, told.retry_after is not None)


@pytest.mark.parametrize("situation", OTHER_FAILURES)
def test_the_answer_to_a_failure_is_documented(situation: str) -> None:
    told = failure(OTHER_FAILURES[situation])
    assert answer(situation) == (told.grpc_code.name, told.http_code, told.retry_after is not None)


def test_the_attributes_fill_the_columns_that_they_are_said_to_fill() -> None:
    known = {(row["slot"], row["key"]) for row in data.rows("aliases")}
    for column, attribute in rows(section(TEXT, "Who, what for")):
        if column in ("`service`", "`environment`"):
            continue
        slots, keys = (re.findall(r"`([\w.]+)`", cell) for cell in (column, attribute))
        pairs = zip(slots, keys, strict=True) if len(slots) > 1 else ((slots[0], key) for key in keys)
        assert set(pairs) <= known


def test_the_fields_of_an_event_are_those_of_the_schema() -> None:
    text = section(TEXT, "Plain JSON events")
    fields = {name for row in rows(text) for name in re.findall(r"`(\w+)`", row[0])}
    assert fields == set(SCHEMA["$defs"]["call"]["properties"])
    (sentence,) = re.findall(r"It needs `timestamp` too,.*?\.", text, re.DOTALL)
    assert set(SCHEMA["$defs"]["event"]["properties"]) - {"event"} <= set(re.findall(r"`(\w+)`", sentence))
    assert f"at most {MAX_EVENTS} events" in text


def test_the_hand_made_export_is_a_valid_request() -> None:
    (block,) = [block for block in blocks(TEXT, "sh") if "/v1/traces " in block]
    body = block[block.index("-d '") + 4 : block.index("'\nllmhub")]
    body = re.sub(r"'\"\$\(date \+%s\)\"'", "1700000000", body)
    assert json.loads(body)
    assert otlp_json.to_protobuf(Signal.TRACES, body.encode())
