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
from collections import defaultdict
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


@dataclass(frozen=True)
class Stored:
    """The rows of all recordings, by recording."""

    calls: dict[str, list[dict[str, Any]]]
    tools: dict[str, list[str]]

    @classmethod
    def read(cls, store: EmbeddedStore) -> Stored:
        calls, tools = defaultdict(list), defaultdict(list)
        sql = f"SELECT {', '.join(COLUMNS)}, span_id, tenant FROM llm_calls_billing ORDER BY timestamp"
        for row in store.rows(sql):
            calls[row["tenant"]].append(row)
        sql = "SELECT name, tenant FROM llm_steps WHERE role = 'tool' ORDER BY name"
        for row in store.rows(sql):
            tools[row["tenant"]].append(row["name"])
        return cls(calls, tools)


def differences(stored: Stored, name: str) -> Iterator[Difference]:
    found, expected = stored.calls.get(name, []), expected_calls(name)
    if len(found) != len(expected):
        yield Difference("calls", 0, len(expected), len(found))
        return
    texts = told(name)
    for number, (call, row) in enumerate(zip(expected, found, strict=True)):
        for column in COLUMNS:
            if row[column] != call[column] and (
                row[column] not in unknown(column, call) or knowable(column, call, texts.get(row["span_id"], ""))
            ):
                yield Difference(column, number, call[column], row[column])
    tools = sorted(tool["name"] for tool in truth(name)["tools"])
    if tools != stored.tools.get(name, []):
        yield Difference("tools", 0, tools, stored.tools.get(name, []))


def unknown(column: str, call: dict[str, Any]) -> tuple[Any, ...]:
    """What is stored where nothing is told."""
    models = {
        "response_model": ("", call["request_model"]),
        "request_model": ("", call["response_model"]),
        "response_id": ("",),
    }
    return models.get(column, (0,))


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
def stored(llm_store: EmbeddedStore) -> Stored:
    store_recordings(llm_store, NAMES)
    return Stored.read(llm_store)


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_export_gives_the_calls_that_the_provider_answered(stored: Stored, name: str) -> None:
    excused = [*marks("ABSENT.csv"), *marks("OPEN.csv")]
    assert [found for found in differences(stored, name) if not marked(name, found.column, excused)] == []


@pytest.mark.parametrize("file", ["ABSENT.csv", "OPEN.csv"])
def test_each_mark_is_still_needed(stored: Stored, file: str) -> None:
    found = [(name, difference.column) for name in NAMES for difference in differences(stored, name)]
    stale = [mark for mark in marks(file) if not any(marked(name, column, [mark]) for name, column in found)]
    assert stale == [], f"no longer needed: {stale}"


# What prompts ask, the provider answers and tools find.
SAID = ("Weather in Paris", "Capital of France", "capital of France", "sunny in Paris", "Plan a day", "Ask the expert")


QUOTED = [
    # An attribute of the application's own, see storage.content.keys.
    "logfire_node/error_openai_429",
    "logfire_node/error_vercel_429",
    "logfire_node/pipeline",
    # The message of an exception quotes the answer that smolagents could not run.
    "openinference_smolagents/code_agent",
]


@pytest.mark.parametrize(
    ("table", "tenant", "quoted"),
    [
        ("llm_calls", "tenant", []),
        ("llm_steps", "tenant", []),
        ("llm_events", "tenant", []),
        ("otel_logs", "Tenant", []),
        ("otel_traces", "Tenant", QUOTED),
    ],
)
def test_what_was_said_is_in_no_table_but_that_of_content(
    stored: Stored, llm_store: EmbeddedStore, table: str, tenant: str, quoted: list[str]
) -> None:
    assert stored.calls
    rows = llm_store.rows(
        f"SELECT DISTINCT {tenant} AS name FROM {table} AS t WHERE multiSearchAny(toString(tuple(t.*)), {list(SAID)})"
    )
    assert sorted(row["name"] for row in rows if row["name"] in NAMES) == quoted


def main() -> None:
    pattern = sys.argv[1] if len(sys.argv) > 1 else "*"
    with tempfile.TemporaryDirectory() as directory:
        store = EmbeddedStore(f"{directory}/store")
        schema.apply(store)
        reference.load(store)
        store_recordings(store, NAMES)
        stored, absent = Stored.read(store), marks("ABSENT.csv")
        for name in (name for name in NAMES if fnmatch(name, pattern)):
            print(name)
            for found in differences(stored, name):
                if not marked(name, found.column, absent):
                    print(f"    {found.column}[{found.call}]: provider {found.expected!r}, stored {found.found!r}")
        store.close()


if __name__ == "__main__":
    main()
