"""Cohere's chat, embed and rerank, of both versions of its API."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

from tests.recorders.answers import TEXT, Answer, Failure, Request, Tool, pieces
from tests.recorders.ledger import Call

JSON = "application/json"
REASONS = {"tool_call": "TOOL_CALL", "stop": "COMPLETE", "length": "MAX_TOKENS", "content_filter": "ERROR_TOXIC"}


def chat(request: Request) -> Answer:
    asked = request.json
    call = request.open("chat", asked["model"], "co-", streaming=bool(asked.get("stream")))
    _failure(request, call)
    offered = [(tool["function"]["name"], tool["function"].get("parameters")) for tool in asked.get("tools") or []]
    results = [m["tool_call_id"] for m in asked.get("messages", []) if m["role"] == "tool"]
    tools = request.finish(call, offered, results)
    if "message" in asked:
        return Answer(JSON, json.dumps(_first_version(call)).encode())
    if call.streaming:
        return Answer("text/event-stream", _events(call, tools))
    content = None if tools else [{"type": "text", "text": TEXT}]
    message = {"role": "assistant", "content": content, "tool_calls": [_tool(tool) for tool in tools] or None}
    return Answer(JSON, json.dumps({"id": call.response_id, "message": message, **_end(call)}).encode())


def _failure(request: Request, call: Call) -> None:
    if failure := request.failure(call):
        call.response_model = ""
        raise Failure(failure[0], {"message": failure[4]})


def _first_version(call: Call) -> dict[str, Any]:
    return {
        "response_id": call.response_id, "generation_id": f"gen-{call.response_id}", "text": TEXT,
        "finish_reason": REASONS.get(call.finish), "chat_history": [], "meta": _usage(call),
    }  # fmt: skip


def _end(call: Call) -> dict[str, Any]:
    return {"finish_reason": REASONS.get(call.finish), "usage": _usage(call)}


def _usage(call: Call) -> dict[str, Any]:
    tokens = {"input_tokens": call.input_tokens, "output_tokens": call.output_tokens}
    return {"billed_units": tokens, "tokens": tokens, "cached_tokens": call.cached_input_tokens}


def _tool(tool: Tool) -> dict[str, Any]:
    return {"id": tool.id, "type": "function", "function": {"name": tool.name, "arguments": json.dumps(tool.arguments)}}


def _events(call: Call, tools: list[Tool]) -> Iterator[bytes]:
    start = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield _event("message-start", {"id": call.response_id, "delta": {"message": start}})
    for index, tool in enumerate(tools):
        yield _event("tool-call-start", {"index": index, "delta": {"message": {"tool_calls": _tool(tool)}}})
        yield _event("tool-call-end", {"index": index})
    if not tools:
        content = {"type": "text", "text": ""}
        yield _event("content-start", {"index": 0, "delta": {"message": {"content": content}}})
        for piece in pieces(TEXT):
            yield _event("content-delta", {"index": 0, "delta": {"message": {"content": {"text": piece}}}})
        yield _event("content-end", {"index": 0})
    yield _event("message-end", {"id": call.response_id, "delta": _end(call)})


def _event(kind: str, event: dict[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **event})}\n\n".encode()


def embed(request: Request) -> Answer:
    asked = request.json
    call = request.open("embeddings", asked["model"], "")
    call.response_id = f"emb-{uuid.uuid4().hex[:20]}"
    _failure(request, call)
    texts = asked["texts"]
    vectors = [[0.25, -0.5, 0.125] for _ in texts]
    kept: Any = {"float": vectors} if "embedding_types" in asked else vectors
    kind = "embeddings_by_type" if "embedding_types" in asked else "embeddings_floats"
    usage = {"billed_units": {"input_tokens": call.input_tokens}}
    answer = {"id": call.response_id, "response_type": kind, "embeddings": kept, "texts": texts, "meta": usage}
    return Answer(JSON, json.dumps(answer).encode())


def rerank(request: Request) -> Answer:
    """Billed by the search."""
    call = request.open("rerank", request.json["model"], "rerank-")
    call.finish, call.usage_sent = "", False
    _failure(request, call)
    results = [{"index": n, "relevance_score": 0.9 - n / 10} for n, _ in enumerate(request.json["documents"])]
    meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
    return Answer(JSON, json.dumps({"id": call.response_id, "results": results, "meta": meta}).encode())
