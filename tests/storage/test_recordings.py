"""What SDKs export about calls, compared with what the provider answered.

recordings/<sdk>/<scenario>.pb is what an SDK exported, <scenario>.truth.json what the provider behind it answered
(tests/recorders makes both). A row of ABSENT.csv names a column that an SDK does not tell; a row of OPEN.csv one that is
told and not understood yet. `python -m tests.storage.test_recordings [pattern]` prints every difference.
"""

from __future__ import annotations

import csv
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.envelope import wrap
from collector.signals import Signal
from storage import reference, schema
from storage.embedded import EmbeddedStore
from tests.collector.direct import store_whole

RECORDINGS = Path(__file__).parent / "recordings"
NAMES = sorted(
    f"{file.parent.name}/{file.name.removesuffix('.truth.json')}" for file in RECORDINGS.glob("*/*.truth.json")
)
COLUMNS = (
    "operation", "provider", "request_model", "response_model", "response_id", "input_tokens", "cached_input_tokens",
    "cache_write_tokens", "output_tokens", "reasoning_tokens", "has_usage", "streaming", "finish_reasons", "error_class",
)  # fmt: skip
TOKENS = ("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")


@dataclass(frozen=True)
class Difference:
    column: str
    call: int
    expected: Any
    found: Any


def expected_calls(name: str) -> list[dict[str, Any]]:
    return [expected_call(call) for call in truth(name)["calls"]]


def expected_call(call: dict[str, Any]) -> dict[str, Any]:
    failed = call["status"] != 200
    usage = call["usage_sent"]
    return {
        **{column: call[column] for column in COLUMNS if column in call},
        **{column: call[column] if usage else 0 for column in TOKENS},
        "response_model": "" if failed else call["response_model"] or call["request_model"],
        "has_usage": usage,
        "finish_reasons": [call["finish"]] if call["finish"] and call["operation"] != "embeddings" else [],
    }


def truth(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RECORDINGS / f"{name}.truth.json").read_text())
    return content


def marks(file: str) -> list[tuple[str, str]]:
    with (RECORDINGS / file).open(encoding="utf-8") as lines:
        return [(row["recording"], row["column"]) for row in csv.DictReader(lines)]


def marked(name: str, column: str, rows: list[tuple[str, str]]) -> bool:
    return any(fnmatch(name, pattern) and marked in (column, "*") for pattern, marked in rows)


def told(name: str) -> dict[str, str]:
    """What each span says, by its id, as text: what is not in there no one can know."""
    export = ExportTraceServiceRequest.FromString((RECORDINGS / f"{name}.pb").read_bytes())
    spans = [span for resource in export.resource_spans for scope in resource.scope_spans for span in scope.spans]
    return {span.span_id.hex(): "\n".join(str(part) for part in (*span.attributes, *span.events)) for span in spans}


def knowable(column: str, call: dict[str, Any], text: str) -> bool:
    if column in TOKENS:
        return re.search(rf"(?<![\d.]){call[column]}(?:\.0)?(?![\d.])", text) is not None
    if column == "has_usage":
        return knowable("input_tokens", call, text) or knowable("output_tokens", call, text)
    if column in {"response_id", "response_model", "request_model"}:
        return re.search(rf"(?<![\w.-]){re.escape(str(call[column]))}(?![\w.-])", text) is not None
    return True


def differences(store: EmbeddedStore, name: str) -> Iterator[Difference]:
    found = store.rows(
        f"SELECT {', '.join(COLUMNS)}, span_id FROM llm_calls WHERE tenant = {{t:String}} ORDER BY timestamp",
        params={"t": name},
    )
    expected = expected_calls(name)
    if len(found) != len(expected):
        yield Difference("calls", 0, len(expected), len(found))
        return
    texts = told(name)
    for number, (call, row) in enumerate(zip(expected, found, strict=True)):
        for column in COLUMNS:
            unknown = {
                "response_model": ("", call["request_model"]),
                "request_model": ("", call["response_model"]),
                "response_id": ("",),
            }.get(column, (0,))
            if row[column] != call[column] and (
                row[column] not in unknown or knowable(column, call, texts.get(row["span_id"], ""))
            ):
                yield Difference(column, number, call[column], row[column])
    steps = store.rows("SELECT name FROM llm_steps WHERE tenant = {t:String} AND role = 'tool'", params={"t": name})
    tools = sorted(tool["name"] for tool in truth(name)["tools"])
    if tools != sorted(row["name"] for row in steps):
        yield Difference("tools", 0, tools, sorted(row["name"] for row in steps))
    unmapped = store.rows(
        "SELECT count() AS n FROM llm_calls WHERE tenant = {t:String} AND role = 'unmapped'", params={"t": name}
    )
    if unmapped[0]["n"]:
        yield Difference("unmapped", 0, 0, unmapped[0]["n"])


def store_recordings(store: EmbeddedStore, names: list[str]) -> None:
    for signal, ending in ((Signal.TRACES, "pb"), (Signal.LOGS, "logs.pb")):
        files = [(name, RECORDINGS / f"{name}.{ending}") for name in names]
        bodies = [(name, file.read_bytes()) for name, file in files if file.exists()]
        now = 1_800_000_000_000_000_000
        batch = [
            wrap(signal, name, body, request_id=number, received_ns=now) for number, (name, body) in enumerate(bodies)
        ]
        if batch:
            store_whole(store, batch)


@pytest.fixture(scope="module")
def recorded(llm_store: EmbeddedStore) -> EmbeddedStore:
    store_recordings(llm_store, NAMES)
    return llm_store


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_export_gives_the_calls_that_the_provider_answered(recorded: EmbeddedStore, name: str) -> None:
    excused = [*marks("ABSENT.csv"), *marks("OPEN.csv")]
    assert [found for found in differences(recorded, name) if not marked(name, found.column, excused)] == []


@pytest.mark.parametrize("file", ["ABSENT.csv", "OPEN.csv"])
def test_each_mark_is_still_needed(recorded: EmbeddedStore, file: str) -> None:
    found = {name: {difference.column for difference in differences(recorded, name)} for name in NAMES}
    needed = [
        mark for mark in marks(file) if any(marked(name, column, [mark]) for name in NAMES for column in found[name])
    ]
    assert [mark for mark in marks(file) if mark not in needed] == []


def main() -> None:
    pattern = sys.argv[1] if len(sys.argv) > 1 else "*"
    names = [name for name in NAMES if fnmatch(name, pattern)]
    with tempfile.TemporaryDirectory() as directory:
        store = EmbeddedStore(f"{directory}/store")
        schema.apply(store)
        reference.load(store)
        store_recordings(store, names)
        excused = marks("ABSENT.csv")
        for name in names:
            bad = [found for found in differences(store, name) if not marked(name, found.column, excused)]
            print("ok  " if not bad else "BAD ", name)
            for found in bad:
                print(f"      {found.column}[{found.call}]: provider {found.expected!r}, stored {found.found!r}")
            if any(found.column in {"calls", "tools"} for found in bad):
                columns = "trace_id, span_id, parent_span_id, scope, span_name, input_tokens AS i, output_tokens AS o, response_id, error_class"
                for row in store.rows(
                    f"SELECT {columns} FROM llm_calls WHERE tenant = {{t:String}} ORDER BY timestamp",
                    params={"t": name},
                ):
                    print("        call", *(str(value)[-28:] for value in row.values()))
                for row in store.rows(
                    "SELECT role, name, scope, span_name FROM llm_steps WHERE tenant = {t:String} ORDER BY timestamp",
                    params={"t": name},
                ):
                    print("        step", *row.values())
        store.close()


if __name__ == "__main__":
    main()
