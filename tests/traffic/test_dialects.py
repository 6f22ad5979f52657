"""Each service speaks one dialect, attribute for attribute as recorded from the real library."""

import json

from tests.traffic.helpers import Read


def of(spans: list[Read], service: str, scope: str = "", name: str = "") -> list[Read]:
    return [
        one
        for one in spans
        if one.resource["service.name"] == service and scope in one.scope and one.span.name.startswith(name)
    ]


def test_openai_chat_in_the_opentelemetry_dialect(spans: list[Read]) -> None:
    calls = of(spans, "support-assistant", "instrumentation.genai.openai", "chat ")
    worked = next(
        one
        for one in calls
        if one.span.status.code == 0 and "gen_ai.request.stream" in one.attributes and "mini" in one.span.name
    )
    found = worked.attributes
    assert worked.span.kind == 3
    assert worked.span.name == f"chat {found['gen_ai.request.model']}"
    assert found["gen_ai.provider.name"] == "openai"
    assert found["gen_ai.request.stream"] is True
    assert found["gen_ai.response.model"].startswith(found["gen_ai.request.model"])
    assert found["gen_ai.response.id"].startswith("chatcmpl-")
    assert found["gen_ai.response.finish_reasons"] in (["stop"], ["length"], ["content_filter"])
    assert found["gen_ai.usage.reasoning.output_tokens"] <= found["gen_ai.usage.output_tokens"]
    assert 0 < found["gen_ai.response.time_to_first_chunk"] < seconds(worked)
    assert found["user.id"].startswith("user-")
    assert found["gen_ai.conversation.id"].startswith("conv-")
    assert "gen_ai.usage.cache_write.input_tokens" not in found


def test_a_failed_call_has_an_error_type_and_no_usage(spans: list[Read]) -> None:
    failed = next(one for one in of(spans, "code-copilot") if "429" in one.span.status.message)
    assert failed.span.status.code == 2
    assert failed.attributes["error.type"] == "anthropic.RateLimitError"
    assert not [key for key in failed.attributes if "usage" in key or "response" in key]


def test_anthropic_reports_cache_writes(spans: list[Read]) -> None:
    calls = [one.attributes for one in of(spans, "code-copilot") if one.span.status.code == 0]
    long = [one for one in calls if one["gen_ai.usage.input_tokens"] >= 1024]
    assert long
    for one in long:
        read, written = one["gen_ai.usage.cache_read.input_tokens"], one["gen_ai.usage.cache_write.input_tokens"]
        assert read + written == one["gen_ai.usage.input_tokens"]


def test_openai_caches_in_steps_of_128_from_1024_tokens(spans: list[Read]) -> None:
    for one in of(spans, "support-assistant", "openai", "chat "):
        if (cached := one.attributes.get("gen_ai.usage.cache_read.input_tokens", 0)) > 0:
            assert cached % 128 == 0
            assert one.attributes["gen_ai.usage.input_tokens"] >= 1024


def test_gemini_calls_are_generate_content_and_not_streamed(spans: list[Read]) -> None:
    calls = of(spans, "catalog-enrichment", "google_genai")
    assert {one.attributes["gen_ai.operation.name"] for one in calls} == {"generate_content"}
    assert {one.attributes["gen_ai.provider.name"] for one in calls} == {"gcp.gemini"}
    assert not [one for one in calls if "gen_ai.request.stream" in one.attributes]
    assert {one.attributes["user.id"] for one in calls} == {"job-catalog-enrichment"}


def test_an_agent_span_holds_chats_and_tools_in_turn(spans: list[Read]) -> None:
    root = next(one for one in of(spans, "incident-agent", name="invoke_agent") if one.span.status.code == 0)
    children = sorted(
        (one for one in of(spans, "incident-agent") if one.span.parent_span_id == root.span.span_id),
        key=lambda one: one.span.start_time_unix_nano,
    )
    operations = [one.attributes["gen_ai.operation.name"] for one in children]
    assert operations[::2] == ["chat"] * len(operations[::2])
    assert operations[1::2] == ["execute_tool"] * len(operations[1::2])
    assert len(operations) >= 3
    assert "gen_ai.usage.input_tokens" not in root.attributes
    asked = [one.attributes["gen_ai.response.finish_reasons"][0] for one in children[::2]]
    assert all(reason.startswith("tool_call") for reason in asked[:-1])
    assert not asked[-1].startswith("tool_call")
    assert root.attributes["gen_ai.agent.name"] == children[1].attributes["gen_ai.agent.name"]


def test_an_agents_prompt_grows_and_its_beginning_is_cached(spans: list[Read]) -> None:
    root = max(of(spans, "incident-agent", name="invoke_agent"), key=seconds)
    chats = [
        one.attributes
        for one in of(spans, "incident-agent", name="chat")
        if one.span.parent_span_id == root.span.span_id and one.span.status.code == 0
    ]
    inputs = [one["gen_ai.usage.input_tokens"] for one in chats]
    assert inputs == sorted(inputs)
    assert chats[-1]["gen_ai.usage.cache_read.input_tokens"] > 0.5 * inputs[-2]


def test_a_retrieval_chain_has_embedding_retrieval_and_chat(spans: list[Read]) -> None:
    root = next(one for one in of(spans, "support-assistant", name="invoke_workflow") if one.span.status.code == 0)
    children = [one for one in spans if one.span.parent_span_id == root.span.span_id]
    operations = {one.attributes["gen_ai.operation.name"] for one in children}
    assert operations == {"embeddings", "retrieval", "chat"}


def test_openllmetry_writes_its_own_names(spans: list[Read]) -> None:
    calls = of(spans, "document-search", "opentelemetry.instrumentation.openai.v1")
    chats = [one for one in calls if one.span.name == "openai.chat" and one.span.status.code != 2]
    stream = next(one for one in chats if one.attributes["gen_ai.is_streaming"])
    plain = next(one for one in chats if not one.attributes["gen_ai.is_streaming"])
    assert (stream.span.status.code, plain.span.status.code) == (1, 0)
    assert stream.span.events[0].name == "gen_ai.content.completion.chunk"
    assert stream.span.start_time_unix_nano < stream.span.events[0].time_unix_nano < stream.span.end_time_unix_nano
    assert "gen_ai.usage.reasoning_tokens" not in stream.attributes
    assert plain.attributes["gen_ai.usage.total_tokens"] == (
        plain.attributes["gen_ai.usage.input_tokens"] + plain.attributes["gen_ai.usage.output_tokens"]
    )
    assert plain.attributes["gen_ai.user"] == plain.attributes["traceloop.association.properties.user_id"]
    assert {one.span.name for one in calls} == {"openai.chat", "openai.embeddings"}
    failed = next(one for one in calls if one.span.status.code == 2)
    assert "." not in failed.attributes["error.type"]
    assert failed.span.events[0].name == "exception"


def test_openinference_writes_its_own_names(spans: list[Read]) -> None:
    calls = of(spans, "shopping-guide", "openinference.instrumentation.openai", "ChatCompletion")
    found = next(one for one in calls if one.span.status.code == 1 and one.span.events)
    assert found.span.kind == 1
    assert found.attributes["openinference.span.kind"] == "LLM"
    parameters = json.loads(found.attributes["llm.invocation_parameters"])
    assert found.attributes["llm.model_name"].startswith(parameters["model"])
    assert parameters["stream"] is True
    assert found.attributes["llm.token_count.total"] == (
        found.attributes["llm.token_count.prompt"] + found.attributes["llm.token_count.completion"]
    )
    assert found.span.events[0].name == "First Token Stream Event"
    assert not [key for key in found.attributes if key.startswith("gen_ai.")]
    failed = next(one for one in calls if one.span.status.code == 2)
    assert "error.type" not in failed.attributes
    assert "llm.model_name" not in failed.attributes
    assert failed.span.status.message.startswith(("RateLimitError: ", "InternalServerError: ", "APITimeout", "BadReq"))
    kinds = {one.attributes["openinference.span.kind"] for one in of(spans, "shopping-guide")}
    assert kinds == {"LLM", "AGENT", "TOOL"}


def seconds(one: Read) -> float:
    return (one.span.end_time_unix_nano - one.span.start_time_unix_nano) / 1e9
