"""Ollama's chat, generate and embed. It has no ids, neither of answers nor of tool calls, and tells of no cache."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.recorders.answers import TEXT, Answer, Failure, Request, Tool, pieces
from tests.recorders.ledger import Call

JSON = "application/json"


def chat(request: Request) -> Answer:
    asked = request.json
    call = _open(request, "chat")
    offered = [(tool["function"]["name"], tool["function"].get("parameters")) for tool in asked.get("tools") or []]
    results = [m["tool_name"] for m in asked["messages"] if m["role"] == "tool"]
    tools = request.finish(call, offered, results)
    if tools:
        request.ledger.asked(call, {tool.name: tool.name for tool in tools})
        call.finish = "stop"  # that is what the API says
    return _answer(call, [{"message": _message(text, [])} for text in pieces(TEXT)], {"message": _message(TEXT, tools)})


def generate(request: Request) -> Answer:
    call = _open(request, "text_completion")
    request.finish(call, [], [])
    return _answer(call, [{"response": text} for text in pieces(TEXT)], {"response": TEXT})


def _open(request: Request, operation: str) -> Call:
    streaming = operation != "embeddings" and bool(request.json.get("stream", True))
    call = request.open(operation, request.json["model"], "", streaming=streaming)
    call.response_id, call.cached_input_tokens = "", 0
    if failure := request.failure(call):
        call.response_model = ""
        raise Failure(failure[0], {"error": failure[4]})
    return call


def _message(text: str, tools: list[Tool]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "" if tools else text}
    if tools:
        message["tool_calls"] = [{"function": {"name": tool.name, "arguments": tool.arguments}} for tool in tools]
    return message


def _answer(call: Call, parts: list[dict[str, Any]], whole: dict[str, Any]) -> Answer:
    head = {"model": call.response_model, "created_at": "2026-11-20T10:00:00.000000Z"}
    times = {"total_duration": 5_000_000, "load_duration": 1_000_000, "prompt_eval_duration": 2_000_000}
    counts = {"prompt_eval_count": call.input_tokens, "eval_count": call.output_tokens, "eval_duration": 2_000_000}
    end = {"done": True, "done_reason": call.finish or "stop", **times, **counts}
    if not call.streaming:
        return Answer(JSON, json.dumps({**head, **whole, **end}).encode())
    if "tool_calls" in whole.get("message", {}):
        parts = [whole]
    last = {key: {"role": "assistant", "content": ""} if key == "message" else "" for key in whole}
    return Answer("application/x-ndjson", _lines([*({**part, "done": False} for part in parts), {**last, **end}], head))


def _lines(parts: list[dict[str, Any]], head: dict[str, Any]) -> Iterator[bytes]:
    for part in parts:
        yield json.dumps({**head, **part}).encode() + b"\n"


def embed(request: Request) -> Answer:
    call = _open(request, "embeddings")
    vector = [0.25, -0.5, 0.125]
    if "prompt" in request.json:
        call.usage_sent = False  # the older form counts nothing
        return Answer(JSON, json.dumps({"embedding": vector}).encode())
    answer = {"model": call.response_model, "embeddings": [vector], "prompt_eval_count": call.input_tokens}
    return Answer(JSON, json.dumps(answer).encode())
