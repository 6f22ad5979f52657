"""The rules of normalisation, each proved by what some SDK sends. Times are seconds after a common start."""

from __future__ import annotations

import json
import os
import time
import uuid
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.envelope import wrap
from collector.signals import Signal
from collector.sweep import Sweep
from storage.embedded import EmbeddedStore
from tests.collector.direct import store_whole
from tests.collector.requests import SECOND, logs, span, traces

Row = dict[str, Any]
START = time.time_ns() - 600 * SECOND
USAGE = {"gen_ai.usage.input_tokens": 120, "gen_ai.usage.output_tokens": 42}
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini"}
SDK = "com.anthropic.sdk.python"


class Tenant:
    """A tenant of its own, whose spans are sent insert by insert."""

    def __init__(self, store: EmbeddedStore) -> None:
        self.store = store
        self.name = f"rules-{uuid.uuid4().hex[:8]}"

    def send(self, *requests: ExportTraceServiceRequest) -> None:
        """In one insert."""
        bodies = [request.SerializeToString() for request in requests]
        self._store(Signal.TRACES, bodies)

    def log(self, attributes: Row, **fields: Any) -> None:
        self._store(Signal.LOGS, [logs("", attributes, **fields).SerializeToString()])

    def calls(self, columns: str = "*", table: str = "llm_calls") -> list[Row]:
        sql = f"SELECT {columns} FROM {table} WHERE tenant = {{t:String}} ORDER BY timestamp"
        return self.store.rows(sql, params={"t": self.name})

    def call(self) -> Row:
        (found,) = self.calls()
        return found

    def _store(self, signal: Signal, bodies: list[bytes]) -> None:
        now = time.time_ns()
        store_whole(
            self.store,
            [wrap(signal, self.name, body, request_id=zlib.crc32(body), received_ns=now) for body in bodies],
        )


@pytest.fixture
def tenant(llm_store: EmbeddedStore) -> Tenant:
    return Tenant(llm_store)


@pytest.fixture
def one(tenant: Tenant) -> Callable[..., Row]:
    """The call that a span with these attributes becomes."""

    def send(attributes: Row, scope: str = "tests", **fields: Any) -> Row:
        tenant.send(traces(span(attributes, **fields), scope=scope))
        return tenant.call()

    return send


def chat(start: float, end: float, parent: Span | None = None, attributes: Row | None = None) -> Span:
    fields: Row = {"start_time_unix_nano": START + int(start * SECOND), "end_time_unix_nano": START + int(end * SECOND)}
    if parent is not None:
        fields |= {"trace_id": parent.trace_id, "parent_span_id": parent.span_id}
    return span({**CHAT, **USAGE, **(attributes or {})}, **fields)


def test_rule_1_calls_and_tokens_are_counted_on_leaf_spans_only(tenant: Tenant) -> None:
    agent = span({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "researcher", **USAGE})
    umbrella = span({"ai.operationId": "ai.generateText", "ai.usage.promptTokens": 240}, trace_id=agent.trace_id)
    chain = span({"openinference.span.kind": "CHAIN", "llm.token_count.prompt": 240}, trace_id=agent.trace_id)
    tenant.send(traces(agent, umbrella, chain, chat(0, 1, agent), chat(2, 3, agent)))
    assert [(row["input_tokens"], row["output_tokens"]) for row in tenant.calls()] == [(120, 42), (120, 42)]
    roles = {row["role"] for row in tenant.calls("role", "llm_steps")}
    assert roles == {"agent", "umbrella", "workflow"}


def test_rule_1_a_call_around_a_call_is_no_leaf(tenant: Tenant) -> None:
    outer = chat(0, 2)
    tenant.send(traces(outer, chat(0.5, 1.5, outer)))
    assert [row["parent_span_id"] for row in tenant.calls()] == [outer.span_id.hex()]


def test_rule_1_a_gateway_with_ids_of_its_own_is_no_leaf(tenant: Tenant) -> None:
    outer = chat(0, 3, attributes={"gen_ai.response.id": "router-1"})
    failed = span(
        {**CHAT, "error.type": "RateLimitError"},
        trace_id=outer.trace_id,
        parent_span_id=outer.span_id,
        start_time_unix_nano=START,
        end_time_unix_nano=START + SECOND,
    )
    tenant.send(traces(outer), traces(failed, chat(1, 2, outer, {"gen_ai.response.id": "chatcmpl-1"}), scope="inner"))
    assert [(row["error_class"], row["response_id"]) for row in tenant.calls()] == [
        ("rate_limit", ""),
        ("", "chatcmpl-1"),
    ]


def test_rule_1_the_call_around_another_that_tells_less_of_it_stays(tenant: Tenant) -> None:
    outer = chat(0, 2, attributes={"gen_ai.response.id": "chatcmpl-2", "gen_ai.usage.cache_read.input_tokens": 64})
    tenant.send(traces(outer), traces(chat(0.1, 1.9, outer, {"gen_ai.response.id": "chatcmpl-2"}), scope="inner"))
    assert [row["cached_input_tokens"] for row in tenant.calls()] == [64]


@pytest.mark.parametrize("inserts", ["one", "two"])
@pytest.mark.parametrize("trace", ["same", "another"])
def test_rule_2_one_response_id_is_one_call(tenant: Tenant, inserts: str, trace: str) -> None:
    instrumented = chat(0, 2, attributes={"gen_ai.response.id": "msg_1"})
    parent = instrumented if trace == "same" else None
    requests = [
        traces(instrumented),
        traces(chat(0.1, 1.9, parent, {"gen_ai.response.id": "msg_1"}), scope=SDK),
    ]
    if inserts == "one":
        tenant.send(*requests)
        assert [row["scope"] for row in tenant.calls()] == ["tests"]
    else:
        for request in reversed(requests):
            tenant.send(request)
    assert [row["scope"] for row in tenant.calls(table="llm_calls_billing")] == ["tests"]
    Sweep(tenant.store).run_once()
    assert [row["scope"] for row in tenant.calls()] == ["tests"]
    assert [row["scope"] for row in tenant.calls(table="llm_calls_billing")] == ["tests"]


@pytest.mark.parametrize("inserts", ["one", "two"])
def test_rule_2_the_same_id_at_disjoint_times_is_two_calls(tenant: Tenant, inserts: str) -> None:
    requests = [traces(chat(start, start + 1, attributes={"gen_ai.response.id": "mock-1"})) for start in (0, 5)]
    if inserts == "one":
        tenant.send(*requests)
    else:
        for request in requests:
            tenant.send(request)
    Sweep(tenant.store).run_once()
    assert len(tenant.calls()) == len(tenant.calls(table="llm_calls_billing")) == 2


def test_rule_2_another_tenant_s_id_is_another_call(tenant: Tenant, llm_store: EmbeddedStore) -> None:
    other = Tenant(llm_store)
    for each in (tenant, other):
        each.send(traces(chat(0, 1, attributes={"gen_ai.response.id": "msg_2"})))
    Sweep(llm_store).run_once()
    assert len(tenant.calls()) == len(other.calls()) == 1


def test_rule_2_a_failed_call_that_the_sdk_reports_too_is_one(tenant: Tenant) -> None:
    outer = chat(0, 1, attributes={"error.type": "anthropic.RateLimitError"})
    inner = chat(0.1, 0.9, outer, {"error.type": "rate_limit_error", "http.response.status_code": 429})
    tenant.send(traces(outer), traces(inner, scope=SDK))
    assert [(row["scope"], row["error_class"]) for row in tenant.calls()] == [("tests", "rate_limit")]


@pytest.mark.parametrize(
    ("scope", "attributes", "exclusive"),
    [
        ("tests", {"gen_ai.usage.input_tokens": 140}, False),
        ("tests", {"gen_ai.usage.input_tokens": 56}, True),  # fewer than what was cached: proof by arithmetic
        ("github.com/grafana/sigil/sdks/python", {"gen_ai.usage.input_tokens": 56}, True),
        (
            "github.com/grafana/sigil/sdks/python",
            {"gen_ai.usage.input_tokens": 140, "gen_ai.token.semantics": "inclusive"},
            False,
        ),
    ],
)
def test_rule_3_input_tokens_include_what_was_cached(
    one: Callable[..., Row], scope: str, attributes: Row, exclusive: bool
) -> None:
    cache = {"gen_ai.usage.cache_read.input_tokens": 64, "gen_ai.usage.cache_write.input_tokens": 20}
    row = one({**CHAT, **USAGE, **cache, **attributes}, scope)
    assert (row["input_tokens"], row["input_was_exclusive"]) == (140, exclusive)


@pytest.mark.parametrize(
    "scope",
    [
        "@traceloop/instrumentation-anthropic",
        "@openlit/instrumentation-anthropic",
        "openlit.instrumentation.anthropic",
        "opentelemetry.instrumentation.bedrock",
        "opentelemetry.instrumentation.botocore.bedrock-runtime",
        "opentelemetry.instrumentation.genai.bedrock",
    ],
)
def test_rule_3_some_instrumentations_pass_on_what_the_provider_counts(one: Callable[..., Row], scope: str) -> None:
    counts = {"gen_ai.usage.input_tokens": 140, "gen_ai.usage.cache_read.input_tokens": 64}
    row = one({**CHAT, **USAGE, **counts}, scope)
    assert (row["input_tokens"], row["input_was_exclusive"]) == (204, True)


def test_rule_3_what_gemini_s_total_has_more_are_the_thoughts(one: Callable[..., Row]) -> None:
    usage = {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 30, "gen_ai.usage.total_tokens": 150}
    row = one(
        {**CHAT, **usage, "gen_ai.request.model": "gemini-2.5-flash", "gen_ai.response.model": "gemini-2.5-flash"}
    )
    assert (row["input_tokens"], row["output_tokens"]) == (100, 50)


@pytest.mark.parametrize("keys", [("cache_creation",), ("cache_write",), ("cache_creation", "cache_write")])
def test_rule_4_both_spellings_of_cache_writes_are_one_number(one: Callable[..., Row], keys: tuple[str, ...]) -> None:
    row = one({**CHAT, **USAGE, **{f"gen_ai.usage.{key}.input_tokens": 20 for key in keys}})
    assert (row["cache_write_tokens"], row["input_tokens"]) == (20, 120)


@pytest.mark.parametrize(
    ("value", "streaming", "scope", "seconds"),
    [
        (150, True, "tests", 0.15),
        (3, True, "strands.telemetry.tracer", 0.003),
        (0.15, True, "tests", 0.15),
        (0.15, False, "tests", None),
    ],
    ids=["milliseconds", "Strands: milliseconds", "OpenLIT: seconds", "OpenLIT without a stream: the whole duration"],
)
def test_rule_5_the_server_s_time_to_first_token_has_the_unit_of_its_sender(
    one: Callable[..., Row], value: float, streaming: bool, scope: str, seconds: float | None
) -> None:
    row = one({**CHAT, **USAGE, "gen_ai.server.time_to_first_token": value, "gen_ai.request.stream": streaming}, scope)
    assert row["time_to_first_token"] == seconds


@pytest.mark.parametrize(
    ("given", "reasons"),
    [
        (["stop"], ["stop"]),
        ('["end_turn"]', ["stop"]),
        (["tool_calls"], ["tool_call"]),
        (["tool-calls"], ["tool_call"]),
        (["tool_use"], ["tool_call"]),
        (["function_call"], ["tool_call"]),
        ("MAX_TOKENS", ["length"]),
        ("FinishReason.SAFETY", ["content_filter"]),
        (["stop", "length"], ["stop", "length"]),
        ("['stop', 'length']", ["stop", "length"]),
        ("stop,length", ["stop", "length"]),
        ([None, "stop"], ["stop"]),
        ([""], []),
    ],
)
def test_rule_6_finish_reasons_are_folded(one: Callable[..., Row], given: Any, reasons: list[str]) -> None:
    assert one({**CHAT, **USAGE, "gen_ai.response.finish_reasons": given})["finish_reasons"] == reasons


def test_rule_7_cost_is_computed_and_the_reported_one_is_kept_beside_it(one: Callable[..., Row]) -> None:
    row = one({**CHAT, **USAGE, "gen_ai.usage.cost": 99.0})
    assert (row["cost"], row["reported_cost"]) == (pytest.approx((120 * 0.15 + 42 * 0.6) / 1e6), 99.0)
    assert row["price_version"].startswith("genai-prices ")


@pytest.mark.parametrize("nothing", ["", "None", "none", "null", "undefined", "__REDACTED__", "<REDACTED>", "[]", "{}"])
def test_rule_8_placeholders_are_no_values(one: Callable[..., Row], nothing: str) -> None:
    row = one({**CHAT, **USAGE, "gen_ai.user": nothing, "langfuse.user.id": "u-1", "session.id": nothing})
    assert (row["user_id"], row["session_id"]) == ("u-1", "")


@pytest.mark.parametrize("inserts", ["one", "two"])
def test_rule_9_the_two_halves_of_a_stream_are_one_call(tenant: Tenant, inserts: str) -> None:
    begins = chat(0, 0.02, attributes={"logfire.span_type": "span"})
    del begins.attributes[3:5]  # no usage yet
    ends = chat(3, 3, begins, {"logfire.span_type": "log", "duration": 2.5})
    requests = [traces(begins, scope="logfire.openai"), traces(ends, scope="logfire.openai")]
    if inserts == "one":
        tenant.send(*requests)
    else:
        for request in requests:
            tenant.send(request)
    row = tenant.call()
    assert (row["input_tokens"], row["duration"], row["streaming"]) == (120, 2.5, True)


def test_rule_10_numbers_and_flags_may_be_strings_and_structures_python(one: Callable[..., Row]) -> None:
    usage = {"prompt_tokens": 120, "prompt_tokens_details": {"cached_tokens": 64}}
    row = one(
        {
            **CHAT,
            "gen_ai.usage.input_tokens": "120",
            "gen_ai.usage.output_tokens": "42.0",
            "llm.is_streaming": "True",
            "metadata.usage_object": repr(usage),
            "error.code": "429",
            "error.type": "RateLimitError",
        },
        "litellm",
    )
    assert (row["input_tokens"], row["output_tokens"], row["cached_input_tokens"]) == (120, 42, 64)
    assert (row["streaming"], row["error_class"]) == (True, "rate_limit")


def test_rule_11_events_of_a_span_are_not_counted_again(tenant: Tenant) -> None:
    tenant.send(traces(chat(0, 1)))
    details = {**CHAT, **USAGE, "gen_ai.response.id": "chatcmpl-9"}
    tenant.log(details, event_name="gen_ai.client.inference.operation.details", span_id=os.urandom(8))
    assert len(tenant.calls()) == 1


def test_rule_11_an_event_of_no_span_is_the_call(tenant: Tenant) -> None:
    tenant.log({**CHAT, **USAGE}, event_name="gen_ai.client.inference.operation.details")
    row = tenant.call()
    assert (row["source"], row["operation"], row["model"], row["input_tokens"]) == ("log", "chat", "gpt-4o-mini", 120)


@pytest.mark.parametrize("place", ["event_name", "event.name", "attribute event_name", "body"])
def test_rule_12_the_name_of_an_event_is_in_four_places(tenant: Tenant, place: str) -> None:
    attributes: Row = {
        "model": "claude-opus-5",
        "input_tokens": "2",
        "output_tokens": "1200",
        "cache_read_tokens": "84562",
    }
    attributes |= {"cost_usd": "0.1", "duration_ms": "2000", "request_id": "req_1"}
    name = "claude_code.api_request"
    if place == "body":
        body = logs(name, attributes).SerializeToString()
        store_whole(
            tenant.store,
            [wrap(Signal.LOGS, tenant.name, body, request_id=zlib.crc32(body), received_ns=time.time_ns())],
        )
    elif place == "event_name":
        tenant.log(attributes, event_name=name)
    else:
        tenant.log({**attributes, place.removeprefix("attribute "): name})
    row = tenant.call()
    assert (row["input_tokens"], row["output_tokens"], row["duration"], row["source"]) == (84564, 1200, 2.0, "log")


def test_a_log_and_a_span_of_one_request_are_one_call(tenant: Tenant) -> None:
    attributes: Row = {"model": "claude-opus-5", "input_tokens": 2, "output_tokens": 1200, "request_id": "req_7"}
    when = START + 2 * SECOND
    tenant.log({**attributes, "event.name": "api_request", "duration_ms": 2000}, time_unix_nano=when)
    tenant.send(
        traces(span({**attributes, "span.type": "llm_request"}, start_time_unix_nano=START, end_time_unix_nano=when))
    )
    assert [row["source"] for row in tenant.calls(table="llm_calls_billing")] == ["span"]
    Sweep(tenant.store).run_once()
    assert [row["source"] for row in tenant.calls()] == ["span"]


@pytest.mark.parametrize(
    ("attributes", "status", "error_class"),
    [
        ({"error.type": "openai.RateLimitError"}, "", "rate_limit"),
        ({"error.type": "rate_limit_error"}, "", "rate_limit"),
        ({"error.type": "strands.types.exceptions.ModelThrottledException"}, "", "rate_limit"),
        ({"error.type": "AI_APICallError", "http.response.status_code": 429}, "", "rate_limit"),
        ({"error.type": "_OTHER"}, "Error code: 429 - slow down", "rate_limit"),
        (
            {"error.type": "openai.BadRequestError"},
            "This model's maximum context length is 8192 tokens",
            "context_length",
        ),
        ({"error.type": "BadRequestError"}, "The response was filtered: content management policy", "content_filter"),
        ({"error.type": "_OTHER"}, "Error code: 422 - no such parameter", "invalid_request"),
        ({"error.type": "_OTHER"}, "getaddrinfo ENOTFOUND api.openai.com", "connection"),
        ({"error.type": "openai.APITimeoutError"}, "", "timeout"),
        ({"error.type": "openai.AuthenticationError"}, "", "auth"),
        ({"error.type": "openai.NotFoundError"}, "", "not_found"),
        ({"error.type": "overloaded_error", "http.response.status_code": 529}, "", "overloaded"),
        ({"error.type": "InternalServerError"}, "", "server_error"),
        ({"error.type": "asyncio.CancelledError"}, "", "cancelled"),
        ({"error.type": "openai.APIConnectionError"}, "", "connection"),
        ({"error.type": "UnprocessableEntityError", "http.response.status_code": 422}, "", "invalid_request"),
        ({"error.type": "SomethingElse"}, "", "other"),
    ],
)
def test_errors_have_a_class(one: Callable[..., Row], attributes: Row, status: str, error_class: str) -> None:
    row = one({**CHAT, **attributes}, status={"code": 2, "message": status})
    assert (row["error_class"], row["error_type"]) == (error_class, attributes["error.type"])


def test_a_call_has_the_agent_of_its_nearest_ancestor(tenant: Tenant) -> None:
    trace_id = os.urandom(16)
    outer = span({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"}, trace_id=trace_id)
    inner = span(
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "writer"},
        trace_id=trace_id,
        parent_span_id=outer.span_id,
    )
    http = span({"http.request.method": "POST"}, trace_id=trace_id, parent_span_id=inner.span_id)
    of_writer = span({**CHAT, **USAGE}, trace_id=trace_id, parent_span_id=http.span_id)
    of_planner = span({**CHAT, **USAGE}, trace_id=trace_id, parent_span_id=outer.span_id)
    own = span({**CHAT, **USAGE, "gen_ai.agent.name": "critic"}, trace_id=trace_id, parent_span_id=inner.span_id)
    tenant.send(traces(outer, inner, http, of_writer, of_planner, own, span({**CHAT, **USAGE})))
    now = int(time.time())
    table = f"llm_calls_by_agent(since = {now - 3600}, until = {now + 3600})"
    found = {row["span_id"]: row["agent"] for row in tenant.calls("span_id, agent", table)}
    assert [found[each.span_id.hex()] for each in (of_writer, of_planner, own)] == ["writer", "planner", "critic"]
    assert sorted(found.values()) == ["", "critic", "planner", "writer"]


def test_rules_do_not_depend_on_the_order_of_attributes(tenant: Tenant) -> None:
    attributes = {**CHAT, "gen_ai.system": "az.ai.openai", "llm.token_count.prompt": 7, **USAGE}
    tenant.send(traces(span(attributes), span(dict(reversed(attributes.items())))))
    rows = [json.dumps({k: row[k] for k in ("provider", "input_tokens")}) for row in tenant.calls()]
    assert rows == ['{"provider": "openai", "input_tokens": 120}'] * 2
