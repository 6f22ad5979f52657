"""`llmhub map test`: what becomes of recorded requests, with the aliases of the configuration, before any is stored."""

from __future__ import annotations

import gzip
import json
from importlib import resources
from pathlib import Path
from typing import Any

from tests.collector.requests import call, span, traces
from tests.hub.process import llmhub

RECORDINGS = Path(str(resources.files("llmhub").joinpath("recordings")))
FILES = {
    "openinference": "openinference-openai/chat_tools.pb",
    "vercel": "vercel-ai-5/chat_tools.pb",
    "langfuse": "langfuse/manual.pb",
    "claude-code": "claude-code-SYNTHETIC/session.logs.pb",
}
ALIASES = (
    "[{slot: response_model, key: acme.model}, {slot: input_tokens, key: acme.tokens.in, tenant: acme}, "
    "{slot: feature, key: acme.feature}]"
)


def of_service(document: Any, name: str) -> list[dict[str, Any]]:
    return [record for record in document["records"] if record["name"] == name]


def won(record: dict[str, Any]) -> dict[str, str]:
    return {slot["slot"]: slot["key"] for slot in record["slots"]}


def test_recordings_of_several_dialects_are_explained_with_the_keys_that_won(tmp_path: Path) -> None:
    (tmp_path / "vercel.pb.gz").write_bytes(gzip.compress((RECORDINGS / FILES["vercel"]).read_bytes()))
    others = [RECORDINGS / file for name, file in FILES.items() if name != "vercel"]
    ran = llmhub(tmp_path, "map", "test", "vercel.pb.gz", *others, "--json")
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    assert (document["problems"], document["add"]) == ([], {"aliases": []})

    chat = of_service(document, "ChatCompletion")[0]
    assert (chat["role"], chat["table"], chat["row"]["dialect"]) == ("llm", "llm_calls", "openinference")
    assert (chat["row"]["model"], chat["row"]["input_tokens"]) == ("gpt-4o-mini-2024-07-18", 120)
    assert won(chat)["input_tokens"] == "llm.token_count.prompt"
    assert "llm.input_messages.0.message.content" in chat["content_keys"]

    generate = of_service(document, "ai.generateText.doGenerate")[0]
    (model,) = [slot for slot in generate["slots"] if slot["slot"] == "input_tokens"]
    assert {model["key"], *model["lost"]} >= {"ai.usage.promptTokens", "gen_ai.usage.input_tokens"}
    assert "operation.name" in generate["unmapped_keys"]
    assert of_service(document, "ai.toolCall")[0]["table"] == "llm_steps"

    assert of_service(document, "api_request")[0]["table"] == "llm_calls"
    assert of_service(document, "tool_decision")[0]["table"] == "llm_events"
    assert of_service(document, "user_prompt")[0]["table"] == ""


def test_what_is_not_understood_is_told_with_the_lines_that_map_it(tmp_path: Path) -> None:
    odd = span(
        {"acme.model": "gpt-4o-mini", "acme.tokens.in": 120, "acme.tokens.out": 42, "acme.llm.feature": "search"},
        name="acme",
    )
    (tmp_path / "acme.traces.pb").write_bytes(traces(odd, call()).SerializeToString())
    ran = llmhub(tmp_path, "map", "test", "acme.traces.pb")
    assert ran.code == 1
    assert "UNMAPPED" in ran.out
    added = ran.out[ran.out.index("storage:") :]
    (tmp_path / "hub.yaml").write_text(added, encoding="utf-8")

    again = llmhub(tmp_path, "map", "test", "acme.traces.pb", "--config", "hub.yaml", "--json")
    assert again.code == 0, again.out + again.err
    (record,) = of_service(json.loads(again.out), "acme")
    assert (record["row"]["model"], record["row"]["input_tokens"], record["row"]["output_tokens"]) == (
        "gpt-4o-mini",
        120,
        42,
    )
    assert record["row"]["cost"] > 0


def test_a_tenant_has_its_aliases_and_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    odd = span(
        {"acme.model": "gpt-4o-mini", "acme.tokens.in": 7, "gen_ai.usage.input_tokens": 120, "acme.region": "eu"},
        name="acme",
    )
    (tmp_path / "acme.traces.pb").write_bytes(traces(odd).SerializeToString())
    settings = {"storage.aliases": ALIASES, "storage.dimensions": "{region: [acme.region], service: [service.name]}"}
    arguments = ("map", "test", "acme.traces.pb", "none.pb", "--json")
    for tenant, tokens, key in (("acme", 7, "acme.tokens.in"), ("other", 120, "gen_ai.usage.input_tokens")):
        ran = llmhub(tmp_path, *arguments, "--tenant", tenant, settings=settings)
        assert ran.code == 1
        document = json.loads(ran.out)
        (record,) = document["records"]
        assert (record["row"]["input_tokens"], won(record)["input_tokens"]) == (tokens, key)
        assert record["row"]["dimensions"] == {"region": "eu", "service": "shop"}
        assert "none.pb" in document["problems"][0]
