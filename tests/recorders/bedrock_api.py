"""Amazon Bedrock: converse, whose inputTokens leave the cached ones out and whose response has no id, and invoke with Anthropic's body."""

from __future__ import annotations

import base64
import json
import struct
import uuid
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from tests.recorders import anthropic_api
from tests.recorders.answers import TEXT, Answer, Failure, Request, Tool, pieces
from tests.recorders.ledger import Call

REASONS = {
    "tool_call": "tool_use",
    "stop": "end_turn",
    "length": "max_tokens",
    "content_filter": "guardrail_intervened",
}
ERRORS = {
    429: "ThrottlingException",
    401: "AccessDeniedException",
    404: "ResourceNotFoundException",
    400: "ValidationException",
    529: "ServiceUnavailableException",
}


def converse(request: Request) -> Answer:
    asked = request.json
    call = request.open(
        "chat", unquote(request.path["model"]), "", streaming=request.path["method"] == "converse-stream"
    )
    call.response_model = ""
    _refuse(request, call)
    blocks = [block for message in asked["messages"] for block in message["content"]]
    specs = [tool["toolSpec"] for tool in (asked.get("toolConfig") or {}).get("tools", []) if "toolSpec" in tool]
    offered = [(spec["name"], spec["inputSchema"]["json"]) for spec in specs]
    tools = request.finish(
        call, offered, [block["toolResult"]["toolUseId"] for block in blocks if "toolResult" in block]
    )
    if call.streaming:
        return Answer("application/vnd.amazon.eventstream", _events(call, tools))
    content: list[dict[str, Any]] = [
        {"toolUse": {"toolUseId": tool.id, "name": tool.name, "input": tool.arguments}} for tool in tools
    ]
    message: dict[str, Any] = {"role": "assistant", "content": content or [{"text": TEXT}]}
    end = {"stopReason": REASONS[call.finish], "usage": _usage(call), "metrics": {"latencyMs": 12}}
    return Answer("application/json", json.dumps({"output": {"message": message}, **end}).encode())


def invoke(request: Request) -> Answer:
    call = request.open("chat", unquote(request.path["model"]), "", streaming=request.path["method"] != "invoke")
    call.response_id, call.response_model = f"msg_bdrk_{uuid.uuid4().hex[:20]}", ""
    _refuse(request, call)
    offered = [(tool["name"], tool.get("input_schema")) for tool in request.json.get("tools") or []]
    tools = request.finish(call, offered, [])
    if call.streaming:
        events = anthropic_api.stream(call, tools)
        frames = (_frame("chunk", {"bytes": base64.b64encode(json.dumps(event).encode()).decode()}) for event in events)
        return Answer("application/vnd.amazon.eventstream", frames)
    return Answer("application/json", json.dumps(anthropic_api.whole(call, tools)).encode())


def _refuse(request: Request, call: Call) -> None:
    if failure := request.failure(call):
        raise Failure(
            failure[0], {"message": failure[4]}, {"x-amzn-ErrorType": ERRORS.get(failure[0], "InternalServerException")}
        )


def _usage(call: Call) -> dict[str, int]:
    return {
        "inputTokens": call.input_tokens - call.cached_input_tokens - call.cache_write_tokens,
        "cacheReadInputTokens": call.cached_input_tokens, "cacheWriteInputTokens": call.cache_write_tokens,
        "outputTokens": call.output_tokens, "totalTokens": call.input_tokens + call.output_tokens,
    }  # fmt: skip


def _events(call: Call, tools: list[Tool]) -> Iterator[bytes]:
    yield _frame("messageStart", {"role": "assistant"})
    for index, tool in enumerate(tools):
        yield _frame(
            "contentBlockStart",
            {"contentBlockIndex": index, "start": {"toolUse": {"toolUseId": tool.id, "name": tool.name}}},
        )
        yield _frame(
            "contentBlockDelta",
            {"contentBlockIndex": index, "delta": {"toolUse": {"input": json.dumps(tool.arguments)}}},
        )
        yield _frame("contentBlockStop", {"contentBlockIndex": index})
    for text in [] if tools else pieces(TEXT):
        yield _frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}})
    if not tools:
        yield _frame("contentBlockStop", {"contentBlockIndex": 0})
    yield _frame("messageStop", {"stopReason": REASONS[call.finish]})
    yield _frame("metadata", {"usage": _usage(call), "metrics": {"latencyMs": 12}})


def _frame(event: str, body: dict[str, Any]) -> bytes:
    payload = json.dumps(body).encode()
    names = {":event-type": event, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in names.items()
    )
    head = struct.pack(">II", len(headers) + len(payload) + 16, len(headers))
    head += struct.pack(">I", zlib.crc32(head))
    return head + headers + payload + struct.pack(">I", zlib.crc32(head + headers + payload))
