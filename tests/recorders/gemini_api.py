"""Google's generateContent. thoughtsTokenCount is not part of candidatesTokenCount."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.recorders.answers import TEXT, Answer, Failure, Request, Tool, pieces
from tests.recorders.ledger import Call

REASONS = {"tool_call": "STOP", "stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
STATES = {
    429: "RESOURCE_EXHAUSTED",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    400: "INVALID_ARGUMENT",
    529: "UNAVAILABLE",
}


def generate(request: Request) -> Answer:
    asked = request.json
    streaming = request.path["method"] == "streamGenerateContent"
    call = request.open("generate_content", request.path["model"], "gem-", streaming=streaming)
    if failure := request.failure(call):
        call.response_model = ""
        error = {"code": failure[0], "message": failure[4], "status": STATES.get(failure[0], "INTERNAL")}
        raise Failure(failure[0], {"error": error})
    parts = [part for content in asked["contents"] for part in content["parts"]]
    results = [part["functionResponse"] for part in parts if "functionResponse" in part]
    declared = [f for tool in asked.get("tools") or [] for f in tool.get("functionDeclarations", [])]
    offered = [(f["name"], f.get("parameters") or f.get("parametersJsonSchema")) for f in declared]
    tools = request.finish(call, offered, [result.get("id") or result["name"] for result in results])
    call.finish = "stop" if tools else call.finish  # that is what the API says
    if streaming:
        return Answer("text/event-stream", _events(call, tools))
    return Answer("application/json", json.dumps(_response(call, _parts(tools, TEXT), last=True)).encode())


def _parts(tools: list[Tool], text: str) -> list[dict[str, Any]]:
    return [{"functionCall": {"id": tool.id, "name": tool.name, "args": tool.arguments}} for tool in tools] or [
        {"text": text}
    ]


def _response(call: Call, parts: list[dict[str, Any]], *, last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": parts}}
    if last:
        candidate["finishReason"] = REASONS[call.finish]
    usage = {
        "promptTokenCount": call.input_tokens, "cachedContentTokenCount": call.cached_input_tokens,
        "candidatesTokenCount": call.output_tokens - call.reasoning_tokens, "thoughtsTokenCount": call.reasoning_tokens,
        "totalTokenCount": call.input_tokens + call.output_tokens,
    }  # fmt: skip
    return {
        "candidates": [candidate],
        "modelVersion": call.response_model,
        "responseId": call.response_id,
        "usageMetadata": usage,
    }


def _events(call: Call, tools: list[Tool]) -> Iterator[bytes]:
    texts = [""] if tools else pieces(TEXT)
    for number, text in enumerate(texts):
        last = number == len(texts) - 1
        yield f"data: {json.dumps(_response(call, _parts(tools, text), last=last))}\r\n\r\n".encode()
