"""What conversations of agents take on disk in the hub's tables and in those of the plain OpenTelemetry exporter, and the CPU of storing them.

    python benchmarks/content.py --conversations 300 --json result.json

Each conversation has a system prompt and tool definitions that its agent shares with others, and grows by a user's message or
the result of a tool and by an answer with every call, which repeats all that was said before. Texts are sentences of words
drawn by their frequency, code, and JSON with random numbers. Results are in README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import CollectorRegistry

from collector.breaker import Breaker
from collector.dead_letters import DeadLetters
from collector.envelope import wrap
from collector.metrics import CollectorMetrics
from collector.signals import Signal
from collector.spool import Cipher
from collector.writer import Writer
from storage import reference, schema
from storage.content_policy import ContentPolicy
from storage.embedded import EmbeddedStore

T = TypeVar("T")
AGENTS, SAMPLE, START = 6, 256, 1_799_900_000_000_000_000
HUB_TABLES = ("otel_traces", "llm_calls", "llm_steps", "llm_content", "llm_call_messages")
# The table that the OpenTelemetry ClickHouse exporter creates, with its indexes.
EXPORTER = """
CREATE TABLE exporter_traces (
    Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)), TraceId String CODEC(ZSTD(1)), SpanId String CODEC(ZSTD(1)),
    ParentSpanId String CODEC(ZSTD(1)), TraceState String CODEC(ZSTD(1)), SpanName LowCardinality(String) CODEC(ZSTD(1)),
    SpanKind LowCardinality(String) CODEC(ZSTD(1)), ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)), ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)), SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration UInt64 CODEC(ZSTD(1)), StatusCode LowCardinality(String) CODEC(ZSTD(1)), StatusMessage String CODEC(ZSTD(1)),
    Events Nested (Timestamp DateTime64(9), Name LowCardinality(String), Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    Links Nested (TraceId String, SpanId String, TraceState String, Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_key mapKeys(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_value mapValues(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_duration Duration TYPE minmax GRANULARITY 1
) ENGINE = MergeTree PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1
"""


@dataclass(frozen=True)
class Call:
    """One call of a conversation: when it was made and what was said."""

    time_ns: int
    agent: int
    conversation: str
    turn: int
    said: list[dict[str, Any]]
    answer: dict[str, Any]


class Language:
    """Text that compresses like prose, code and JSON do: words by Zipf's law, many of them rare."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        syllables = [c + v + e for c in "bcdfghlmnprst" for v in "aeiou" for e in ("", "n", "r", "s", "l")]
        self._words = ["".join(self._random.choices(syllables, k=self._random.randint(1, 4))) for _ in range(20_000)]
        self._weights = [1 / (rank + 3) for rank in range(len(self._words))]

    def prose(self, characters: int) -> str:
        words = self._random.choices(self._words, self._weights, k=characters // 6)
        sentences = [" ".join(part).capitalize() + "." for part in batched(words, self._random.randint(8, 17))]
        return " ".join(sentences)

    def code(self, lines: int) -> str:
        return "\n".join(
            f"    {a} = {b}({c}, {self._random.randint(0, 9999)})" for a, b, c in batched(self._pick(3 * lines), 3)
        )

    def rows(self, count: int) -> str:
        return json.dumps(
            [
                {"id": self._random.randrange(10**7), "name": name, "amount": self._random.randrange(10**5) / 100}
                for name in self._pick(count)
            ]
        )

    def _pick(self, count: int) -> list[str]:
        return self._random.choices(self._words, self._weights, k=count)


def calls(conversations: int, seed: int = 1) -> list[Call]:
    """All calls in the order of their time: conversations run beside each other."""
    rng, language = random.Random(seed), Language(seed)
    systems = [language.prose(rng.randint(2048, 4096)) for _ in range(AGENTS)]
    made = [call for number in range(conversations) for call in _conversation(number, rng, language, systems)]
    return sorted(made, key=lambda call: call.time_ns)


def _conversation(number: int, rng: random.Random, language: Language, systems: list[str]) -> Iterator[Call]:
    agent, now = rng.randrange(AGENTS), START + rng.randrange(1800) * 10**9
    said = [_message("system", systems[agent]), _message("user", language.prose(rng.randint(100, 800)))]
    for turn in range(rng.randint(20, 40)):
        now += rng.randint(2, 30) * 10**9
        answer = _message("assistant", language.prose(rng.randint(60, 900)))
        yield Call(now, agent, f"conv-{number}", turn, list(said), answer)
        tool = rng.random()
        reply = (
            _message("tool", language.rows(rng.randint(5, 40)))
            if tool < 0.35
            else _message("tool", language.code(rng.randint(10, 60)))
            if tool < 0.6
            else _message("user", language.prose(rng.randint(40, 500)))
        )
        said += [answer, reply]


def batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def request(made: list[Call], rng: random.Random, *, with_content: bool = True) -> bytes:
    export = ExportTraceServiceRequest()
    for call in made:
        resource = export.resource_spans.add()
        resource.resource.attributes.add(key="service.name").value.string_value = f"agent-{call.agent}"
        scope = resource.scope_spans.add()
        scope.scope.name = "opentelemetry.instrumentation.genai.openai"
        span = scope.spans.add(name="chat gpt-4o", kind=3, trace_id=rng.randbytes(16), span_id=rng.randbytes(8))
        span.start_time_unix_nano, span.end_time_unix_nano = call.time_ns, call.time_ns + rng.randrange(10**9, 10**10)
        for key, value in _attributes(call, rng, with_content).items():
            span.attributes.add(key=key).value.string_value = value
    return export.SerializeToString()


def _attributes(call: Call, rng: random.Random, with_content: bool) -> dict[str, str]:
    content = {
        "gen_ai.input.messages": json.dumps(call.said),
        "gen_ai.output.messages": json.dumps([{**call.answer, "finish_reason": "stop"}]),
        "gen_ai.tool.definitions": json.dumps(
            [{"type": "function", "name": f"tool_{n}", "description": "of an agent"} for n in range(12)]
        ),
    }
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-11-20",
        "gen_ai.response.id": f"chatcmpl-{rng.randbytes(12).hex()}",
        "gen_ai.usage.input_tokens": str(sum(len(str(message)) for message in call.said) // 4),
        "gen_ai.usage.output_tokens": str(len(str(call.answer)) // 4),
        "gen_ai.conversation.id": call.conversation,
        "gen_ai.response.finish_reasons": '["stop"]',
        "server.address": "api.openai.com",
        **(content if with_content else {}),
    }


def store_all(store: EmbeddedStore, requests: list[bytes], batch: int) -> float:
    """CPU seconds of storing them, `batch` requests an insert, without merges that come later."""
    letters = DeadLetters(store, Cipher(bytes(32)))
    writer = Writer(store, Breaker(), letters, CollectorMetrics(CollectorRegistry()))
    before = time.process_time()
    for number, bodies in enumerate(batched(requests, batch)):
        envelopes = [
            wrap(Signal.TRACES, "default", body, request_id=number * batch + n + 1, received_ns=START + 10**13)
            for n, body in enumerate(bodies)
        ]
        written = writer.write(envelopes)
        if written.error is not None:
            raise SystemExit(f"an insert failed: {written.error}")
    return time.process_time() - before


def bytes_on_disk(store: EmbeddedStore, tables: tuple[str, ...]) -> dict[str, int]:
    for table in tables:
        store.execute(f"OPTIMIZE TABLE {table} FINAL")
    rows = store.rows(
        "SELECT table, sum(bytes_on_disk) AS bytes FROM system.parts WHERE active AND database = currentDatabase() GROUP BY table"
    )
    found = {row["table"]: int(row["bytes"]) for row in rows}
    return {table: found.get(table, 0) for table in tables}


def cpu_a_span(
    store: EmbeddedStore, requests: list[bytes], plain: list[bytes], requests_an_insert: int
) -> dict[str, float]:
    """The smallest of three, in turn, of the same calls kept, dropped, and sent without content."""
    ways: dict[str, tuple[ContentPolicy, list[bytes]]] = {
        "keep": (ContentPolicy(), requests),
        "drop": (ContentPolicy(mode="drop"), requests),
        "sent without content": (ContentPolicy(), plain),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(3):
        for name, (policy, bodies) in ways.items():
            policy.load(store)
            found[name].append(store_all(store, bodies, requests_an_insert))
    return {name: round(1e6 * min(seconds) / (4 * len(requests)), 1) for name, seconds in found.items()}


def measure(conversations: int, requests_an_insert: int) -> dict[str, Any]:
    made = calls(conversations)
    rng = random.Random(2)
    requests = [request(list(part), rng) for part in batched(made, 4)]
    plain = [request(list(part), rng, with_content=False) for part in batched(made, 4)]
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        store = EmbeddedStore(Path(directory) / "store")
        schema.apply(store)
        reference.load(store)
        ContentPolicy().load(store)
        store.execute(EXPORTER)
        store.execute(
            "CREATE MATERIALIZED VIEW exporter_mv TO exporter_traces AS SELECT * EXCEPT (request_id, reason, Tenant, ReceivedAt) FROM otlp_spans WHERE reason = ''"
        )
        store_all(store, requests, requests_an_insert)
        store.execute("DROP VIEW exporter_mv")
        disk = bytes_on_disk(store, (*HUB_TABLES, "exporter_traces"))
        (stored,) = store.rows(
            "SELECT (SELECT count() FROM llm_call_messages) AS calls, (SELECT count() FROM llm_content) AS messages"
        )
        cpu = cpu_a_span(store, requests[:SAMPLE], plain[:SAMPLE], requests_an_insert)
        store.close()
        os.chdir("/")
    hub = sum(disk[table] for table in HUB_TABLES)
    return {
        "calls": len(made),
        "content bytes a call": sum(map(len, requests)) // len(made),
        "stored": stored,
        "bytes a call": {table: round(size / len(made), 1) for table, size in disk.items()},
        "hub bytes a call": round(hub / len(made), 1),
        "times smaller": round(disk["exporter_traces"] / hub, 2),
        "CPU us a span": cpu,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=300)
    parser.add_argument("--requests-an-insert", type=int, default=64, help="of 4 spans each")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    target = arguments.json.absolute() if arguments.json else None
    result = measure(arguments.conversations, arguments.requests_an_insert)
    print(json.dumps(result, indent=1))
    if target:
        target.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
