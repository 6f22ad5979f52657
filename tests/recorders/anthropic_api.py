"""Anthropic's messages. On the wire input_tokens leaves the cached ones out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.recorders.answers import TEXT, Answer, Failure, Request, Tool, pieces
from tests.recorders.ledger import Call

REASONS = {"tool_call": "tool_use", "stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}


def messages(request: Request) -> Answer:
    asked = request.json
    call = request.open("chat", asked["model"], "msg_01", streaming=bool(asked.get("stream")))
    if failure := request.failure(call):
        status, _, _, kind, message = failure
        call.response_model = ""
        raise Failure(
            status,
            {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_011"},
            {"request-id": "req_011"},
        )
    blocks = [block for m in asked["messages"] if isinstance(m["content"], list) for block in m["content"]]
    offered = [(tool["name"], tool.get("input_schema")) for tool in asked.get("tools") or []]
    tools = request.finish(call, offered, [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"])
    if call.streaming:
        return Answer("text/event-stream", _events(call, tools))
    return Answer("application/json", json.dumps(whole(call, tools)).encode())


def whole(call: Call, tools: list[Tool]) -> dict[str, Any]:
    content = [*map(_tool, tools)] or [{"type": "text", "text": TEXT}]
    return {**_message(call), "content": content, "stop_reason": REASONS.get(call.finish)}


def usage(call: Call) -> dict[str, Any]:
    return {
        "input_tokens": call.input_tokens - call.cached_input_tokens - call.cache_write_tokens,
        "cache_creation_input_tokens": call.cache_write_tokens, "cache_read_input_tokens": call.cached_input_tokens,
        "cache_creation": {"ephemeral_5m_input_tokens": call.cache_write_tokens, "ephemeral_1h_input_tokens": 0},
        "output_tokens": call.output_tokens, "service_tier": "standard",
    }  # fmt: skip


def _message(call: Call) -> dict[str, Any]:
    return {
        "id": call.response_id, "type": "message", "role": "assistant", "model": call.response_model, "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": usage(call),
    }  # fmt: skip


def _tool(tool: Tool) -> dict[str, Any]:
    return {"type": "tool_use", "id": tool.id, "name": tool.name, "input": tool.arguments}


def _events(call: Call, tools: list[Tool]) -> Iterator[bytes]:
    for event in stream(call, tools):
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def stream(call: Call, tools: list[Tool]) -> Iterator[dict[str, Any]]:
    start = _message(call)
    yield {"type": "message_start", "message": {**start, "usage": {**start["usage"], "output_tokens": 1}}}
    blocks = [{**_tool(tool), "input": {}} for tool in tools] or [{"type": "text", "text": ""}]
    for index, block in enumerate(blocks):
        yield {"type": "content_block_start", "index": index, "content_block": block}
        texts = [json.dumps(tools[index].arguments)] if tools else pieces(TEXT)
        for text in texts:
            delta = (
                {"type": "input_json_delta", "partial_json": text} if tools else {"type": "text_delta", "text": text}
            )
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    end = {"stop_reason": REASONS.get(call.finish), "stop_sequence": None}
    yield {"type": "message_delta", "delta": end, "usage": {"output_tokens": call.output_tokens}}
    yield {"type": "message_stop"}
