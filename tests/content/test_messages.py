"""Conversations of every form become messages, each stored once, and leave the attributes they came in."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from collector.breaker import Breaker
from collector.dead_letters import DeadLetters
from collector.metrics import CollectorMetrics
from collector.signals import Signal
from collector.spool import Cipher
from collector.writer import Writer
from storage import data
from storage.content import ContentKeys, key_sql
from storage.embedded import EmbeddedStore
from tests.collector.direct import store_whole
from tests.content.sending import RECORDINGS, chat, content, envelope, record, send, span, texts

# What people, models and tools say in the recordings.
PHRASES = ("Weather in Paris", "rainy", "terse weather bot", "capital of France", "Ignore all previous")
CONTENT_KEYS = ContentKeys()
MESSAGES = json.dumps([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}])
FORMS = {
    "otel": {"gen_ai.input.messages": MESSAGES},
    "langfuse": {"langfuse.observation.input": MESSAGES},
    "vercel": {"ai.prompt.messages": MESSAGES},
    "openinference": {
        "llm.input_messages.0.message.role": "system",
        "llm.input_messages.0.message.content": "Be brief.",
        "llm.input_messages.1.message.role": "user",
        "llm.input_messages.1.message.content": "Hi",
        "input.value": json.dumps({"messages": json.loads(MESSAGES), "model": "m"}),
    },
    "openllmetry": {
        "gen_ai.prompt.0.role": "system",
        "gen_ai.prompt.0.content": "Be brief.",
        "gen_ai.prompt.1.role": "user",
        "gen_ai.prompt.1.content": "Hi",
    },
}


@pytest.fixture(scope="module")
def recorded(llm_store: EmbeddedStore) -> EmbeddedStore:
    """The session's store with every recording, the tenant of each begins with 'recorded/'."""
    for signal in Signal:
        batch = [
            envelope(signal, f"recorded/{file.relative_to(RECORDINGS)}", file.read_bytes())
            for file in sorted(RECORDINGS.rglob("*.pb"))
            if _signal(file) is signal
        ]
        store_whole(llm_store, batch)
    return llm_store


def _signal(file: Path) -> Signal:
    return {".logs": Signal.LOGS, ".metrics": Signal.METRICS}.get(
        file.suffixes[-2] if len(file.suffixes) > 1 else "", Signal.TRACES
    )


def own(tenant_column: str) -> str:
    return f"startsWith({tenant_column}, 'recorded/')" if tenant_column else "true"


def test_prompts_and_answers_are_in_no_table_but_that_of_content(recorded: EmbeddedStore) -> None:
    tables = recorded.rows(
        "SELECT name, arrayFirst(column -> lower(column) = 'tenant', columns) AS tenant FROM system.tables AS t "
        "INNER JOIN (SELECT table, groupArray(name) AS columns FROM system.columns WHERE database = currentDatabase() GROUP BY table) AS c "
        "ON t.name = c.table WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    )
    said = [
        row["name"]
        for row in tables
        if recorded.rows(
            f"SELECT 1 FROM {row['name']} AS t WHERE multiSearchAny(toString(tuple(t.*)), {list(PHRASES)}) "
            f"AND {own(row['tenant'])} LIMIT 1"
        )
    ]
    assert said == ["llm_content"]
    for phrase in PHRASES:
        found = recorded.rows(
            "SELECT 1 FROM llm_content WHERE position(text, {p:String}) > 0 LIMIT 1", params={"p": phrase}
        )
        assert found, phrase


def test_spans_and_records_keep_everything_else(recorded: EmbeddedStore) -> None:
    (row,) = recorded.rows(
        "SELECT countIf(SpanAttributes['gen_ai.request.model'] != '') AS models, countIf(SpanAttributes['llm.token_count.prompt'] != '') AS tokens "
        "FROM otel_traces WHERE startsWith(Tenant, 'recorded/')"
    )
    assert row["models"] > 100
    assert row["tokens"] > 10


def test_calls_can_be_derived_again_from_stored_spans(recorded: EmbeddedStore) -> None:
    """What another collector wrote goes through the same chain: so do stored spans when they are written back."""
    columns = (
        "operation, provider, model, input_tokens, output_tokens, cached_input_tokens, finish_reasons, response_id, dialect, error_class, "
        "streaming, span_id"
    )
    recorded.execute(
        "INSERT INTO otel_traces SELECT * REPLACE (replaceOne(Tenant, 'recorded/', 'again/') AS Tenant, false AS FromHub) "
        "FROM (SELECT * FROM otel_traces WHERE startsWith(Tenant, 'recorded/') ORDER BY TraceId) "
        "SETTINGS max_threads = 1, max_insert_threads = 1"  # one block, as it came
    )
    calls = "SELECT {c} FROM llm_calls WHERE startsWith(tenant, '{t}') AND source = 'span' ORDER BY ALL"
    first = recorded.rows(calls.replace("{c}", columns).replace("{t}", "recorded/"))
    again = recorded.rows(calls.replace("{c}", columns).replace("{t}", "again/"))
    assert len(first) > 100
    assert again == first


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_conversation_becomes_messages(llm_store: EmbeddedStore, form: str) -> None:
    send(llm_store, f"form-{form}", span({"gen_ai.operation.name": "chat", **FORMS[form]}))
    rows = content(llm_store, f"form-{form}")
    assert [(row["direction"], row["position"], row["role"]) for row in rows] == [
        ("input", 1, "system"),
        ("input", 2, "user"),
    ]
    assert [json.loads(row["text"])["content"] for row in rows] == ["Be brief.", "Hi"]


def test_events_of_a_span_become_messages(llm_store: EmbeddedStore) -> None:
    events = [
        ("gen_ai.user.message", {"content": "Hi", "role": "user"}),
        ("gen_ai.choice", {"message": "Hello", "finish_reason": "end_turn"}),
    ]
    send(llm_store, "form-events", span({"gen_ai.operation.name": "chat"}, events=events))
    assert [(row["direction"], json.loads(row["text"])) for row in content(llm_store, "form-events")] == [
        ("input", {"content": "Hi", "role": "user"}),
        ("output", {"message": "Hello"}),
    ]
    (row,) = llm_store.rows("SELECT Events.Attributes AS events FROM otel_traces WHERE Tenant = 'form-events'")
    assert row["events"] == [{"role": "user"}, {"finish_reason": "end_turn"}]


def test_log_events_become_the_messages_of_their_span(llm_store: EmbeddedStore) -> None:
    events = [
        record("gen_ai.system.message", '{"content":"Be brief."}'),
        record("gen_ai.user.message", '{"content":"Hi"}'),
        record("gen_ai.choice", '{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Hello"}}'),
        record("claude_code.user_prompt", "claude_code.user_prompt", {"prompt": "What now?"}),
    ]
    send(llm_store, "form-logs", *events, signal=Signal.LOGS)
    said = [(row["direction"], row["role"]) for row in content(llm_store, "form-logs") if row["role"]]
    assert said == [("input", "system"), ("input", "user"), ("output", "assistant")]
    rows = llm_store.rows(
        "SELECT EventName, Body, LogAttributes AS attributes FROM otel_logs WHERE Tenant = 'form-logs' ORDER BY EventName"
    )
    assert [row["Body"] for row in rows] == ["claude_code.user_prompt", "", "", ""]
    assert [row["attributes"] for row in rows] == [{}, {"llm_hub.finish_reasons": "stop"}, {}, {}]


def test_what_is_no_list_of_messages_is_one(llm_store: EmbeddedStore) -> None:
    attributes = {"gen_ai.tool.call.arguments": "[not json", "gen_ai.tool.call.result": "57F and rainy"}
    send(llm_store, "form-plain", span({"gen_ai.operation.name": "execute_tool", **attributes}))
    assert texts(llm_store, "form-plain") == ["[not json", "57F and rainy"]


def test_a_message_that_many_calls_repeat_is_stored_once(llm_store: EmbeddedStore) -> None:
    said = [f"message {number}" for number in range(6)]
    send(llm_store, "growing", *(chat(*said[:turn]) for turn in range(1, 7)))
    (row,) = llm_store.rows("SELECT count() AS stored FROM llm_content WHERE tenant = 'growing'")
    assert row["stored"] == 6
    (row,) = llm_store.rows(
        "SELECT count() AS calls, sum(length(input)) AS messages FROM llm_call_messages WHERE tenant = 'growing'"
    )
    assert (row["calls"], row["messages"]) == (6, 21)


def test_equal_messages_of_two_tenants_have_nothing_in_common(llm_store: EmbeddedStore) -> None:
    for tenant in ("left", "right"):
        send(llm_store, tenant, chat("the same"))
    assert content(llm_store, "left")[0]["hash"] != content(llm_store, "right")[0]["hash"]


def files_with(directory: Path, content: bytes) -> Iterator[Path]:
    """Files that go away meanwhile, as those of merged parts do, are left out."""
    for folder, _, names in os.walk(directory):
        for file in (Path(folder, name) for name in names):
            with suppress(FileNotFoundError):
                if content in file.read_bytes():
                    yield file


def test_a_secret_is_in_no_file_of_the_store(recorded: EmbeddedStore) -> None:
    """Parts are compressed, so the columns are read back as well as the bytes."""
    secret, marker = "sk-proj-9f8e7d6c5b4a39281706f5e4d3c2b1a0", "an-unusual-marker"
    send(recorded, "secret", chat(f"{marker} {secret}"), span({"input.value": secret, "gen_ai.operation.name": "chat"}))
    send(recorded, "secret", record("gen_ai.user.message", json.dumps({"content": secret})), signal=Signal.LOGS)
    recorded.flush()
    for row in recorded.rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    ):
        found = recorded.rows(f"SELECT 1 FROM {row['name']} AS t WHERE position(toString(tuple(t.*)), '{secret}') > 0")
        assert not found, row["name"]
    assert not list(files_with(recorded.path, secret.encode()))
    assert list(files_with(recorded.path, b"otel_traces"))
    assert marker in "".join(texts(recorded, "secret"))


def test_rejected_records_and_dead_letters_hold_no_content_in_clear(llm_store: EmbeddedStore) -> None:
    refused = chat("a refused prompt").replace(bytes(15) + b"\x01", bytes(16))
    letters = DeadLetters(llm_store, Cipher(bytes(32)))
    Writer(llm_store, Breaker(), letters, CollectorMetrics(CollectorRegistry())).write(
        [envelope(Signal.TRACES, "refused", refused)]
    )
    for table in ("rejected_records", "dead_letters"):
        (row,) = llm_store.rows(
            f"SELECT count() AS rows, countIf(position(toString(tuple(t.*)), 'refused prompt') > 0) AS clear FROM {table} AS t WHERE tenant = 'refused'"
        )
        assert row["rows"] > 0, table
        assert row["clear"] == 0, table


def test_a_key_may_be_content_on_spans_of_one_scope_alone(llm_store: EmbeddedStore) -> None:
    said = {"message": "Plan a day", "recipient_agent_class": "Writer"}
    runtime = "autogen SingleThreadedAgentRuntime"
    send(llm_store, "scoped", span(said, scope=runtime))
    send(llm_store, "unscoped", span(said, scope="my.queue"))
    assert texts(llm_store, "scoped") == ["Plan a day"]
    assert texts(llm_store, "unscoped") == []
    rows = llm_store.rows(
        "SELECT Tenant, SpanAttributes AS attributes FROM otel_traces WHERE Tenant IN ('scoped', 'unscoped') ORDER BY Tenant"
    )
    assert [row["attributes"] for row in rows] == [{"recipient_agent_class": "Writer"}, said]
    assert (
        CONTENT_KEYS.has("message", runtime),
        CONTENT_KEYS.has("message", "my.queue"),
        CONTENT_KEYS.has("message"),
    ) == (
        True,
        False,
        False,
    )


def test_no_attribute_that_the_alias_table_reads_is_content_but_the_answer() -> None:
    rows = list(data.rows("aliases"))
    assert {row["slot"] for row in rows if CONTENT_KEYS.has(row["key"])} == {"output_content"}
    assert all(CONTENT_KEYS.has(row["key"]) for row in rows if row["slot"] == "output_content")


def test_sql_and_python_agree_on_what_is_content(llm_store: EmbeddedStore) -> None:
    keys = [
        "llm.input_messages.10.message.content",
        "gen_ai.completion.0.finish_reason",
        "gen_ai.prompt.variable.city",
        "llm.openai.messages",
        "llm.token_count.prompt",
        "gen_ai.prompt.name",
        "gen_ai.input.messages",
        "http.route",
        "x.0.y",
    ]
    for key in keys:
        (row,) = llm_store.rows(
            f"SELECT dictHas('llm_content_key', {key_sql('k')}) AS found FROM (SELECT {{k:String}} AS k)",
            params={"k": key},
        )
        assert bool(row["found"]) is CONTENT_KEYS.has(key), key
