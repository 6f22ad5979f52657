"""Spellings that SDKs use beside those of the recordings, as their source or documentation has them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf.message import Message

from collector.envelope import wrap
from collector.signals import Signal
from storage.data import rows
from storage.embedded import EmbeddedStore
from tests.collector.direct import store_whole
from tests.collector.requests import logs, span, traces

Row = dict[str, Any]
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini"}
USAGE = {"gen_ai.usage.input_tokens": 120, "gen_ai.usage.output_tokens": 42}
GENERATION = {"langfuse.observation.type": "generation", "langfuse.observation.model.name": "gpt-4o-mini"}

CALLS: dict[str, tuple[Row, Row]] = {
    # https://github.com/getsentry/sentry-python/blob/master/sentry_sdk/consts.py
    "sentry": (
        CHAT
        | USAGE
        | {
            "gen_ai.usage.input_tokens.cached": 64,
            "gen_ai.usage.input_tokens.cache_write": 20,
            "gen_ai.response.streaming": True,
            "gen_ai.response.time_to_first_token": 0.25,
        },
        {"cached_input_tokens": 64, "cache_write_tokens": 20, "streaming": True, "time_to_first_token": 0.25},
    ),
    # https://github.com/openlit/openlit/blob/main/sdk/python/src/openlit/semcov/__init__.py
    "openlit, details of the usage": (
        CHAT
        | USAGE
        | {
            "gen_ai.usage.prompt_tokens_details.cached_tokens": 64,
            "gen_ai.usage.prompt_tokens_details.cache_creation_tokens": 20,
            "gen_ai.usage.completion_tokens_details.reasoning_tokens": 16,
            "gen_ai.user.id": "ann",
            "gen_ai.session.id": "s1",
        },
        {
            "cached_input_tokens": 64,
            "cache_write_tokens": 20,
            "reasoning_tokens": 16,
            "user_id": "ann",
            "session_id": "s1",
        },
    ),
    "openlit, other work of models": (
        CHAT | {"gen_ai.operation.name": "text_to_speech"},
        {"role": "llm", "operation": "speech", "model": "gpt-4o-mini"},
    ),
    # https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md
    "openinference, reranker": (
        {"openinference.span.kind": "RERANKER", "reranker.model_name": "rerank-v3.5", "llm.provider": "cohere"},
        {"role": "rerank", "provider": "cohere", "request_model": "rerank-v3.5"},
    ),
    "openinference, cached input": (
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-4o-mini",
            "llm.token_count.prompt": 120,
            "llm.token_count.completion": 42,
            "llm.token_count.prompt_details.cache_input": 64,
        },
        {"input_tokens": 120, "cached_input_tokens": 64},
    ),
    # Details as they are of the provider, in versions below 1.
    "pydantic-ai, details of the usage": (
        CHAT
        | USAGE
        | {
            "gen_ai.usage.details.cache_read_input_tokens": 64,
            "gen_ai.usage.details.cache_creation_input_tokens": 20,
        },
        {"input_tokens": 120, "cached_input_tokens": 64, "cache_write_tokens": 20},
    ),
    # https://github.com/google-gemini/gemini-cli/blob/main/packages/core/src/telemetry/constants.ts
    "gemini-cli": (
        CHAT | USAGE | {"gen_ai.operation.name": "llm_call", "gen_ai.conversation.id": "s1"},
        {"role": "llm", "operation": "chat", "session_id": "s1"},
    ),
    # https://github.com/microsoft/vscode-copilot-chat/blob/main/src/platform/otel/common/genAiAttributes.ts
    "copilot": (
        CHAT | USAGE | {"copilot_chat.time_to_first_token": 250, "copilot_chat.chat_session_id": "s1"},
        {"time_to_first_token": 0.25, "session_id": "s1"},
    ),
    # https://github.com/langchain-ai/langsmith-sdk/blob/main/python/langsmith/_internal/otel/_otel_exporter.py
    "langsmith": (
        USAGE
        | {
            "gen_ai.operation.name": "chat",
            "langsmith.metadata.ls_provider": "google_vertexai",
            "langsmith.metadata.ls_model_name": "gemini-2.0-flash",
            "langsmith.metadata.thread_id": "s1",
            "langsmith.request.streaming": "True",
            "gen_ai.response.service_tier": "flex",
        },
        {
            "provider": "gcp.vertex_ai",
            "request_model": "gemini-2.0-flash",
            "session_id": "s1",
            "streaming": True,
            "service_tier": "flex",
        },
    ),
    # https://github.com/vercel/ai/blob/main/packages/otel/src/supplemental-attributes.ts
    "vercel, runtime context": (
        CHAT | USAGE | {"ai.settings.context.userId": "ann", "ai.settings.context.sessionId": "s1"},
        {"user_id": "ann", "session_id": "s1"},
    ),
    "vercel, before version 4": (
        {
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.model.provider": "amazon-bedrock",
            "ai.model.id": "m",
            "ai.finishReason": "stop",
        },
        {"provider": "aws.bedrock", "finish_reasons": ["stop"]},
    ),
    # https://github.com/dotnet/extensions/blob/main/src/Libraries/Microsoft.Extensions.AI/OpenTelemetryConsts.cs
    "extensions-ai": (
        CHAT | USAGE | {"gen_ai.usage.input_audio_tokens": 12, "gen_ai.usage.output_audio_tokens": 7},
        {"usage_details": {"input_audio_tokens": 12, "output_audio_tokens": 7}},
    ),
    # Every value is a string. https://pypi.org/project/microsoft-agents-a365-observability-core
    "agent365": (
        {
            "gen_ai.operation.name": "output_messages",
            "gen_ai.provider.name": "azure.ai.openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": "120",
            "gen_ai.usage.output_tokens": "42",
            "gen_ai.response.finish_reasons": '["stop"]',
            "microsoft.session.id": "s1",
            "user.id": "ann",
        },
        {"input_tokens": 120, "output_tokens": 42, "finish_reasons": ["stop"], "session_id": "s1", "user_id": "ann"},
    ),
    # https://github.com/traceloop/openllmetry/tree/main/packages/opentelemetry-semantic-conventions-ai
    "openllmetry": (
        {
            "llm.request.type": "chat",
            "gen_ai.system": "Anthropic",
            "gen_ai.request.model": "claude-sonnet-4-5",
            "llm.usage.prompt_tokens": 9,
            "llm.usage.completion_tokens": 8,
            "llm.usage.reasoning_tokens": 5,
            "llm.response.stop_reason": "end_turn",
        },
        {"provider": "anthropic", "reasoning_tokens": 5, "finish_reasons": ["stop"]},
    ),
    # https://langfuse.com/docs/observability/features/token-and-cost-tracking: kinds of tokens add up, and so do costs.
    "langfuse, Anthropic's counts": (
        GENERATION
        | {
            "langfuse.observation.usage_details": '{"cache_read_input_tokens":64,"input":5600,"output":42}',
            "langfuse.observation.cost_details": '{"input":0.25,"output":0.5}',
        },
        {"input_tokens": 5664, "cached_input_tokens": 64, "input_was_exclusive": True, "reported_cost": 0.75},
    ),
    "langfuse, Google's counts": (
        GENERATION
        | {
            "langfuse.observation.usage_details": json.dumps(
                {"promptTokenCount": 120, "candidatesTokenCount": 26, "thoughtsTokenCount": 16, "totalTokenCount": 162}
            )
        },
        {"input_tokens": 120, "output_tokens": 42, "reasoning_tokens": 16},
    ),
    "langfuse, the AI SDK's counts": (
        GENERATION | {"langfuse.observation.usage_details": '{"promptTokens":120,"completionTokens":42}'},
        {"input_tokens": 120, "output_tokens": 42},
    ),
    "langfuse, audio": (
        GENERATION | {"langfuse.observation.usage_details": '{"input":90,"input_audio_tokens":30,"output":42}'},
        {"input_tokens": 120, "usage_details": {"input_audio_tokens": 30}},
    ),
    "langfuse, texts with the quotes of JSON": (
        GENERATION
        | {
            "langfuse.trace.metadata.feature": '"search"',
            "langfuse.observation.metadata.team": '"growth"',
            "langfuse.observation.metadata.user_id": '"ann"',
            "langfuse.environment": "staging",
        },
        {"feature": "search", "team": "growth", "user_id": "ann", "environment": "staging"},
    ),
    "agento11y, tags": (
        CHAT | USAGE | {"agento11y.tag.feature": "search", "agento11y.tag.team": "growth"},
        {"feature": "search", "team": "growth"},
    ),
    "openinference, an agent of langchain": (
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-4o-mini",
            "metadata": '{"langgraph_step": 1, "lc_agent_name": "planner"}',
        },
        {"agent": "planner"},
    ),
    "vercel, a service tier": (
        CHAT | USAGE | {"ai.response.providerMetadata": '{"openai":{"responseId":"resp_1","serviceTier":"flex"}}'},
        {"service_tier": "flex"},
    ),
    # https://vercel.com/docs/ai-gateway
    "vercel, gateway": (
        {
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.model.provider": "gateway",
            "ai.model.id": "anthropic/claude-sonnet-4.5",
        },
        {"provider": "anthropic", "request_model": "anthropic/claude-sonnet-4.5"},
    ),
    # https://code.claude.com/docs/en/monitoring-usage
    "claude-code, a failed request": (
        {"span.type": "llm_request", "model": "claude-sonnet-4-5", "success": False, "status_code": "529"},
        {"is_error": True, "error_class": "overloaded"},
    ),
    "an embedding that tells the total alone": (
        {
            "gen_ai.operation.name": "embeddings",
            "gen_ai.request.model": "text-embedding-3-small",
            "gen_ai.usage.total_tokens": 8,
        },
        {"role": "embedding", "input_tokens": 8, "output_tokens": 0, "has_usage": True},
    ),
}

STEPS: dict[str, tuple[Row, Row]] = {
    # https://github.com/strands-agents/sdk-python/blob/main/src/strands/telemetry/tracer.py
    "strands, agents together": (
        {"gen_ai.operation.name": "invoke_swarm", "gen_ai.agent.name": "swarm", "gen_ai.system": "strands-agents"},
        {"role": "workflow", "operation": "invoke_workflow", "agent": "swarm"},
    ),
    "gemini-cli, tool": (
        {"gen_ai.operation.name": "tool_call", "gen_ai.tool.name": "read_file", "gen_ai.tool.call_id": "c1"},
        {"role": "tool", "operation": "execute_tool", "name": "read_file", "tool_call_id": "c1"},
    ),
    # The tool is told by the span around it.
    "claude-code, execution of a tool": (
        {"span.type": "tool.execution", "tool_use_id": "c1", "gen_ai.tool.call.id": "c1", "duration_ms": 12},
        {"role": "umbrella", "operation": "tool_execution"},
    ),
    "claude-code, waiting for the user": (
        {"span.type": "tool.blocked_on_user", "decision": "accept", "gen_ai.tool.call.id": "c1"},
        {"role": "umbrella", "operation": "tool_approval"},
    ),
    "extensions-ai, function invocation": (
        {"gen_ai.operation.name": "orchestrate_tools"},
        {"role": "workflow", "operation": "orchestrate_tools"},
    ),
    # https://github.com/spring-projects/spring-ai/tree/main/spring-ai-commons
    "spring-ai, chat client": (
        {
            "gen_ai.operation.name": "framework",
            "gen_ai.system": "spring_ai",
            "spring.ai.chat.client.conversation.id": "s1",
        },
        {"role": "workflow", "operation": "invoke_workflow", "session_id": "s1"},
    ),
    "spring-ai, tool": (
        {"gen_ai.operation.name": "execute_tool", "spring.ai.tool.definition.name": "weather"},
        {"role": "tool", "name": "weather"},
    ),
    "openllmetry, vector database": (
        {"gen_ai.operation.name": "vector_db_retrieve"},
        {"role": "retrieval", "operation": "retrieval"},
    ),
    "openlit, mcp": (
        {"gen_ai.operation.name": "mcp_tool_call", "mcp.tool.name": "weather"},
        {"role": "mcp", "operation": "tools/call", "name": "weather"},
    ),
    "openlit, memory": (
        {"gen_ai.operation.name": "memory_search", "gen_ai.system": "mem0"},
        {"role": "memory", "operation": "search_memory"},
    ),
    "sentry, pipeline": (
        {"gen_ai.operation.name": "invoke_workflow", "gen_ai.pipeline.name": "qa"},
        {"role": "workflow", "name": "qa"},
    ),
    "mcp, a resource": (
        {"mcp.method.name": "resources/read", "mcp.resource.uri": "file:///x"},
        {"role": "mcp", "operation": "resources/read"},
    ),
    "litellm, guardrail": (
        {"guardrail_name": "presidio", "guardrail_mode": "pre_call"},
        {"role": "guardrail", "operation": "apply_guardrail", "name": "presidio"},
    ),
    "openllmetry, a task of a workflow": (
        {"traceloop.span.kind": "task", "traceloop.entity.name": "fetch", "traceloop.workflow.name": "report"},
        {"role": "workflow", "operation": "task", "name": "fetch"},
    ),
    # https://docs.anthropic.com/en/docs/build-with-claude/token-counting is free.
    "counting tokens": (
        CHAT | {"gen_ai.operation.name": "count_tokens", "gen_ai.usage.input_tokens": 10},
        {"role": "umbrella", "operation": "count_tokens"},
    ),
    # https://github.com/NVIDIA/NeMo-Guardrails/blob/develop/nemoguardrails/tracing/constants.py
    "nemo guardrails, request": (
        {"gen_ai.operation.name": "guardrails", "gen_ai.provider.name": "nemo-guardrails"},
        {"role": "workflow", "operation": "guardrails"},
    ),
}

PROVIDERS = {
    "google-gla": "gcp.gemini",
    "google-vertex": "gcp.vertex_ai",
    "google-vertex.chat": "gcp.vertex_ai",
    "google.vertex.chat": "gcp.vertex_ai",
    "google.generative-ai": "gcp.gemini",
    "googleVertex.anthropic.messages": "gcp.vertex_ai",
    "bedrock-mantle.chat": "aws.bedrock",
    "xai.responses": "x_ai",
    "bedrock_converse": "aws.bedrock",
    "azure-openai.responses": "azure.ai.openai",
    "ibm.watson.ai": "ibm.watsonx.ai",
    "hugging_face": "huggingface",
    "fireworks_ai": "fireworks",
    "cohere.reranking": "cohere",
    "groq.chat": "groq",
    "deepseek.chat": "deepseek",
    "openai.transcription": "openai",
    "openai.responses": "openai",
    "anthropic.messages": "anthropic",
}
ERRORS = {
    "TooManyRequestsException": "rate_limit",
    "google.api_core.exceptions.ResourceExhausted": "rate_limit",
    "AccessDeniedException": "auth",
    "ExpiredTokenException": "auth",
    "botocore.exceptions.NoCredentialsError": "auth",
    "Unauthenticated": "auth",
    "ModelNotReadyException": "overloaded",
    "BadGatewayError": "server_error",
    "ModelStreamErrorException": "server_error",
    "BlockedPromptException": "content_filter",
    "request_too_large": "invalid_request",
    "ECONNREFUSED": "connection",
    "ECONNABORTED": "connection",
    "APIUserAbortError": "cancelled",
    "GeneratorExit": "cancelled",
    "400": "invalid_request",
    "408": "timeout",
    "429": "rate_limit",
    "499": "cancelled",
    "500": "server_error",
    "503": "overloaded",
    "UNAVAILABLE": "overloaded",
    "ENOTFOUND": "connection",
    "ResourceNotFoundException": "not_found",
    "AI_LoadAPIKeyError": "auth",
    "openai.ConflictError": "invalid_request",
    "litellm.BudgetExceededError": "rate_limit",
    "KeyboardInterrupt": "cancelled",
    "httpx.RemoteProtocolError": "connection",
    "SSLError": "connection",
}
FINISH_REASONS = {
    "endoftext": "stop",
    "model_context_window_exceeded": "length",
    "IMAGE_SAFETY": "content_filter",
    "ERROR_TOXIC": "content_filter",
    "tool_use": "tool_call",
    "end_turn": "stop",
    "recitation": "content_filter",
    "incomplete": "length",
}


def store_each(store: EmbeddedStore, signal: Signal, requests: Mapping[str, Message]) -> None:
    """In one insert; the key is the tenant."""
    now = time.time_ns()
    envelopes = [
        wrap(signal, tenant, request.SerializeToString(), request_id=uuid.uuid4().int >> 80, received_ns=now)
        for tenant, request in requests.items()
    ]
    store_whole(store, envelopes)


def one(store: EmbeddedStore, table: str, tenant: str) -> Row:
    (row,) = store.rows(f"SELECT * FROM {table} WHERE tenant = {{t:String}}", params={"t": tenant})
    return row


@pytest.fixture(scope="module")
def stored(llm_store: EmbeddedStore) -> EmbeddedStore:
    """Every span of CALLS, STEPS and PROVIDERS, each of a tenant that is named after it."""
    given = {name: attributes for name, (attributes, _) in (CALLS | STEPS).items()}
    given |= {f"provider {name}": CHAT | {"gen_ai.provider.name": name} for name in PROVIDERS}
    store_each(llm_store, Signal.TRACES, {f"dialects {n}": traces(span(attributes)) for n, attributes in given.items()})
    return llm_store


@pytest.mark.parametrize("dialect", CALLS)
def test_a_call_is_understood(stored: EmbeddedStore, dialect: str) -> None:
    row, expected = one(stored, "llm_calls", f"dialects {dialect}"), CALLS[dialect][1]
    assert {column: row[column] for column in expected} == expected


@pytest.mark.parametrize("dialect", STEPS)
def test_a_step_is_understood_and_no_call(stored: EmbeddedStore, dialect: str) -> None:
    row, expected = one(stored, "llm_steps", f"dialects {dialect}"), STEPS[dialect][1]
    assert {column: row[column] for column in expected} == expected
    assert not stored.rows("SELECT 1 FROM llm_calls WHERE tenant = {t:String}", params={"t": f"dialects {dialect}"})


@pytest.mark.parametrize("emitted", PROVIDERS)
def test_a_provider_has_one_name(stored: EmbeddedStore, emitted: str) -> None:
    assert one(stored, "llm_calls", f"dialects provider {emitted}")["provider"] == PROVIDERS[emitted]


@pytest.mark.parametrize("agent", ["gemini_cli", "qwen-code"])
def test_the_log_of_a_coding_agent_is_a_call(llm_store: EmbeddedStore, agent: str) -> None:
    tenant = f"dialects-{uuid.uuid4().hex[:8]}"
    attributes = {
        "event.name": f"{agent}.api_response",
        "model": "qwen3-coder",
        "input_token_count": 120,
        "output_token_count": 42,
        "response_id": "chatcmpl-1",
        "duration_ms": 500,
    }
    store_each(llm_store, Signal.LOGS, {tenant: logs("", attributes)})
    row = one(llm_store, "llm_calls", tenant)
    assert (row["model"], row["input_tokens"], row["response_id"]) == ("qwen3-coder", 120, "chatcmpl-1")


def test_the_log_of_gemini_cli_leaves_thoughts_out_of_its_output(llm_store: EmbeddedStore) -> None:
    tenant = f"dialects-{uuid.uuid4().hex[:8]}"
    counts = {
        "input_token_count": 100,
        "output_token_count": 20,
        "thoughts_token_count": 16,
        "total_token_count": 136,
    }
    said = {"event.name": "gemini_cli.api_response", "model": "gemini-2.5-pro", **counts}
    again = {"event.name": "gen_ai.client.inference.operation.details", **CHAT, **USAGE}
    store_each(llm_store, Signal.LOGS, {tenant: logs("", said), f"{tenant}-again": logs("", again)})
    row = one(llm_store, "llm_calls", tenant)
    assert (row["input_tokens"], row["output_tokens"], row["reasoning_tokens"]) == (100, 36, 16)
    assert not llm_store.rows("SELECT 1 FROM llm_calls WHERE tenant = {t:String}", params={"t": f"{tenant}-again"})


CONTENT = [row for row in rows("content") if row["kind"] == "attribute"]


@pytest.mark.parametrize("scope", sorted({row["scope"] for row in CONTENT}))
def test_no_attribute_that_holds_content_stays_on_the_span(llm_store: EmbeddedStore, scope: str) -> None:
    keys = [row["key"].replace("*", "openai") for row in CONTENT if row["scope"] in ("", scope)]
    tenant = f"dialects-{uuid.uuid4().hex[:8]}"
    said = span(CHAT | {"gen_ai.usage.input_tokens": 5} | {key: f"said in {key}" for key in keys})
    store_each(llm_store, Signal.TRACES, {tenant: traces(said, scope=scope)})
    for table, column in (("otel_traces", "Tenant"), ("llm_calls", "tenant")):
        (row,) = llm_store.rows(
            f"SELECT toString(tuple(t.*)) AS text FROM {table} AS t WHERE {column} = {{t:String}}", params={"t": tenant}
        )
        assert "said in" not in row["text"], table


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("assistant_response", {"response": "said"}),
        ("api_response_body", {"body": "said"}),
        ("qwen-code.user_prompt", {"prompt": "said"}),
        ("gemini_cli.api_request", {"request_text": "said"}),
    ],
)
def test_no_log_of_a_coding_agent_keeps_what_was_said(llm_store: EmbeddedStore, name: str, attributes: Row) -> None:
    tenant = f"dialects-{uuid.uuid4().hex[:8]}"
    store_each(llm_store, Signal.LOGS, {tenant: logs("", {"event.name": name, **attributes})})
    (row,) = llm_store.rows(
        "SELECT LogAttributes AS kept FROM otel_logs WHERE Tenant = {t:String}", params={"t": tenant}
    )
    assert row["kept"] == {"event.name": name}
    assert "said" in one(llm_store, "llm_call_content", tenant)["text"]


def test_the_result_of_a_tool_is_no_attribute_of_an_event(llm_store: EmbeddedStore) -> None:
    tenant = f"dialects-{uuid.uuid4().hex[:8]}"
    cycle = span({"gen_ai.operation.name": "execute_event_loop_cycle"})
    event = cycle.events.add(name="gen_ai.choice", time_unix_nano=cycle.end_time_unix_nano)
    event.attributes.add(key="tool.result").value.string_value = "said"
    store_each(llm_store, Signal.TRACES, {tenant: traces(cycle)})
    (row,) = llm_store.rows(
        "SELECT `Events.Attributes` AS kept FROM otel_traces WHERE Tenant = {t:String}", params={"t": tenant}
    )
    assert row["kept"] == [{}]


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("aliases", ["key"]),
        ("operations", ["value"]),
        ("log_operations", ["event_name"]),
        ("providers", ["name"]),
        ("events", ["event_name"]),
        ("event_attributes", ["key"]),
        ("event_values", ["slot", "value"]),
        ("content", ["kind", "key", "scope"]),
    ],
)
def test_a_table_says_one_thing_of_each_name(name: str, columns: list[str]) -> None:
    names = [tuple(row[column] for column in columns) for row in rows(name)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("name", "column"), [("operations", "value"), ("providers", "name")])
def test_names_that_are_looked_up_in_lower_case_are_in_lower_case(name: str, column: str) -> None:
    assert [row[column] for row in rows(name) if row[column] != row[column].lower()] == []


def test_an_error_has_a_class_by_its_type_alone(llm_store: EmbeddedStore) -> None:
    requests = {f"error {name}": traces(span(CHAT | {"error.type": name}, status={"code": 2})) for name in ERRORS}
    store_each(llm_store, Signal.TRACES, requests)
    assert {name: one(llm_store, "llm_calls", f"error {name}")["error_class"] for name in ERRORS} == ERRORS


def test_finish_reasons_of_providers_are_folded(llm_store: EmbeddedStore) -> None:
    requests = {
        f"finish {name}": traces(span(CHAT | USAGE | {"gen_ai.response.finish_reasons": [name]}))
        for name in FINISH_REASONS
    }
    store_each(llm_store, Signal.TRACES, requests)
    folded = {name: one(llm_store, "llm_calls", f"finish {name}")["finish_reasons"] for name in FINISH_REASONS}
    assert folded == {name: [reason] for name, reason in FINISH_REASONS.items()}


@pytest.mark.parametrize(
    ("kind", "operation", "role"),
    [
        ("llm", "chat", "llm"),
        ("prompt", "chat", "prompt"),
        ("retriever", "embeddings", "retrieval"),
        ("embedding", "embeddings", "embedding"),
        ("chain", "chain", "workflow"),
        ("parser", "parser", "workflow"),
    ],
)
def test_the_kind_of_langsmith_goes_before_its_operation(
    llm_store: EmbeddedStore, kind: str, operation: str, role: str
) -> None:
    attributes = {"gen_ai.operation.name": operation, "langsmith.span.kind": kind, "gen_ai.request.model": "m"}
    store_each(llm_store, Signal.TRACES, {f"langsmith {kind}": traces(span(attributes))})
    table = "llm_calls" if role in ("llm", "embedding") else "llm_steps"
    assert one(llm_store, table, f"langsmith {kind}")["role"] == role


@pytest.mark.parametrize("key", ["input", "output", "raw_input", "events", "inputs", "embeddings", "final_result"])
def test_a_general_name_is_content_on_spans_of_its_sdk_alone(llm_store: EmbeddedStore, key: str) -> None:
    scopes = {row["scope"] for row in CONTENT if row["key"] == key}
    requests = {
        f"general {key} {scope}": traces(span({"http.request.method": "POST", key: "said"}), scope=scope)
        for scope in (*scopes, "opentelemetry.instrumentation.flask")
    }
    store_each(llm_store, Signal.TRACES, requests)
    rows = llm_store.rows(
        "SELECT ScopeName AS scope FROM otel_traces WHERE startsWith(Tenant, {t:String}) AND SpanAttributes[{key:String}] != ''",
        params={"t": f"general {key} ", "key": key},
    )
    assert "" not in scopes
    assert [row["scope"] for row in rows] == ["opentelemetry.instrumentation.flask"]
    assert not llm_store.rows(
        "SELECT 1 FROM llm_calls WHERE startsWith(tenant, {t:String})", params={"t": f"general {key} "}
    )


def test_old_pydantic_ai_names_its_work_by_its_spans_alone(llm_store: EmbeddedStore) -> None:
    tool = span({"gen_ai.tool.name": "weather", "gen_ai.tool.call.id": "c1"}, name="running tool")
    agent = span({"agent_name": "planner", "model_name": "gpt-4o", "gen_ai.usage.input_tokens": 3}, name="agent run")
    requests = {
        "pydantic-ai tool": traces(tool, scope="pydantic-ai"),
        "pydantic-ai agent": traces(agent, scope="pydantic-ai"),
    }
    store_each(llm_store, Signal.TRACES, requests)
    steps = [one(llm_store, "llm_steps", tenant) for tenant in requests]
    assert [(step["role"], step["name"]) for step in steps] == [("tool", "weather"), ("agent", "planner")]


def test_only_the_end_of_a_codex_stream_is_a_call(llm_store: EmbeddedStore) -> None:
    event: Row = {"event.name": "codex.sse_event", "model": "gpt-5.1", "conversation.id": "s1"}
    counts = {"input_token_count": 100, "cached_token_count": 40, "output_token_count": 10, "reasoning_token_count": 5}
    requests = {
        "codex begins": logs("", event | {"event.kind": "response.created"}),
        "codex ends": logs("", event | {"event.kind": "response.completed"} | counts),
    }
    store_each(llm_store, Signal.LOGS, requests)
    call = one(llm_store, "llm_calls", "codex ends")
    columns = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens", "session_id")
    assert [call[column] for column in columns] == [100, 40, 10, 5, "s1"]
    assert not llm_store.rows("SELECT 1 FROM llm_calls WHERE tenant = 'codex begins'")
    assert not llm_store.rows("SELECT 1 FROM llm_unmapped WHERE tenant = 'codex begins'")
