"""OpenAI's chat completions, responses and embeddings."""

from __future__ import annotations

import base64
import json
import struct
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from tests.recorders.answers import TEXT, Answer, Failure, Request, Tool, arguments, pieces
from tests.recorders.ledger import Call

JSON = "application/json"
EVENTS = "text/event-stream"
SERVED = {
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
}


def chat(request: Request) -> Answer:
    asked = request.json
    call = request.open("chat", asked["model"], "chatcmpl-", streaming=bool(asked.get("stream")))
    _served(request, call)
    offered = [(tool["function"]["name"], tool["function"].get("parameters")) for tool in asked.get("tools") or []]
    tools = request.finish(call, offered, [m["tool_call_id"] for m in asked["messages"] if m["role"] == "tool"])
    if not call.streaming:
        return Answer(JSON, json.dumps(_completion(request, call, tools)).encode())
    call.usage_sent = bool((asked.get("stream_options") or {}).get("include_usage")) or request.provider != "openai"
    return Answer(EVENTS, _events(_chat_chunks(request, call, tools), named=False))


def _served(request: Request, call: Call) -> None:
    call.response_model = SERVED.get(call.request_model, call.request_model)
    if failure := request.failure(call):
        status, _, code, kind, message = failure
        call.response_model = ""
        error = {"message": message, "type": "requests" if status == 429 else kind, "param": None, "code": code}
        raise Failure(status, {"object": "error", **error} if request.provider == "mistral_ai" else {"error": error})


def _text(request: Request) -> str:
    wanted = request.json.get("response_format") or (request.json.get("text") or {}).get("format") or {}
    schema = wanted.get("schema") or (wanted.get("json_schema") or {}).get("schema")
    return json.dumps(arguments(schema)) if schema else TEXT


def _completion(request: Request, call: Call, tools: list[Tool]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None if tools else _text(request), "refusal": None}
    if tools:
        message["tool_calls"] = [_tool(tool) for tool in tools]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _reason(call)}
    return {**_head(call, "chat.completion"), "choices": [choice], "usage": _usage(call)}


def _chat_chunks(request: Request, call: Call, tools: list[Tool]) -> Iterator[dict[str, Any]]:
    head = _head(call, "chat.completion.chunk")

    def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        return {
            **head,
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}],
            "usage": None,
        }

    yield chunk({"role": "assistant", "content": "" if not tools else None})
    for number, tool in enumerate(tools):
        yield chunk({"tool_calls": [{"index": number, **_tool(tool)}]})
    for piece in [] if tools else pieces(_text(request)):
        yield chunk({"content": piece})
    last = chunk({}, _reason(call))
    if request.provider == "mistral_ai":
        yield {**last, "usage": _usage(call)}
        return
    yield {**last, "x_groq": {"id": call.response_id, "usage": _usage(call)}} if request.provider == "groq" else last
    if call.usage_sent:
        yield {**head, "choices": [], "usage": _usage(call)}


def _head(call: Call, kind: str) -> dict[str, Any]:
    return {
        "id": call.response_id, "object": kind, "created": int(time.time()), "model": call.response_model,
        "service_tier": "default", "system_fingerprint": "fp_44709d6fcb",
    }  # fmt: skip


def _tool(tool: Tool) -> dict[str, Any]:
    return {"id": tool.id, "type": "function", "function": {"name": tool.name, "arguments": json.dumps(tool.arguments)}}


def _reason(call: Call) -> str:
    return {"tool_call": "tool_calls"}.get(call.finish, call.finish)


def _usage(call: Call) -> dict[str, Any]:
    return {
        "prompt_tokens": call.input_tokens, "completion_tokens": call.output_tokens,
        "total_tokens": call.input_tokens + call.output_tokens,
        "prompt_tokens_details": {"cached_tokens": call.cached_input_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": call.reasoning_tokens, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    }  # fmt: skip


def responses(request: Request) -> Answer:
    asked = request.json
    call = request.open("chat", asked["model"], "resp_", streaming=bool(asked.get("stream")))
    _served(request, call)
    items = [] if isinstance(asked["input"], str) else asked["input"]
    offered = [
        (tool["name"], tool.get("parameters")) for tool in asked.get("tools") or [] if tool["type"] == "function"
    ]
    tools = request.finish(call, offered, [i["call_id"] for i in items if i.get("type") == "function_call_output"])
    if not call.streaming:
        return Answer(JSON, json.dumps(_response(request, call, tools)).encode())
    return Answer(EVENTS, _events(_response_events(_response(request, call, tools)), named=True))


def _response(request: Request, call: Call, tools: list[Tool]) -> dict[str, Any]:
    content = {"type": "output_text", "text": _text(request), "annotations": [], "logprobs": []}
    message = {
        "id": f"msg_{call.response_id[5:]}",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [content],
    }
    calls = [
        {"id": f"fc_{tool.id}", "type": "function_call", "status": "completed", "call_id": tool.id, "name": tool.name,
         "arguments": json.dumps(tool.arguments)} for tool in tools
    ]  # fmt: skip
    cut = call.finish == "length"
    return {
        "id": call.response_id, "object": "response", "created_at": time.time(), "model": call.response_model,
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": calls or [message], "error": None, "instructions": request.json.get("instructions"), "metadata": {},
        "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto", "tools": request.json.get("tools") or [],
        "top_p": 1.0, "max_output_tokens": None, "previous_response_id": request.json.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None}, "service_tier": "default", "store": True,
        "text": request.json.get("text") or {"format": {"type": "text"}}, "truncation": "disabled", "user": None,
        "usage": {
            "input_tokens": call.input_tokens, "input_tokens_details": {"cached_tokens": call.cached_input_tokens, "cache_write_tokens": 0},
            "output_tokens": call.output_tokens, "output_tokens_details": {"reasoning_tokens": call.reasoning_tokens},
            "total_tokens": call.input_tokens + call.output_tokens,
        },
    }  # fmt: skip


def _response_events(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    started = {**whole, "status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": started}
    yield {"type": "response.in_progress", "response": started}
    for index, item in enumerate(whole["output"]):
        place = {"output_index": index, "item_id": item["id"]}
        if item["type"] == "function_call":
            yield {
                "type": "response.output_item.added",
                "output_index": index,
                "item": {**item, "arguments": "", "status": "in_progress"},
            }
            yield {"type": "response.function_call_arguments.delta", **place, "delta": item["arguments"]}
            yield {
                "type": "response.function_call_arguments.done",
                **place,
                "arguments": item["arguments"],
                "name": item["name"],
            }
        else:
            part = item["content"][0]
            place["content_index"] = 0
            yield {
                "type": "response.output_item.added",
                "output_index": index,
                "item": {**item, "content": [], "status": "in_progress"},
            }
            yield {"type": "response.content_part.added", **place, "part": {**part, "text": ""}}
            for piece in pieces(part["text"]):
                yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
            yield {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []}
            yield {"type": "response.content_part.done", **place, "part": part}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{whole['status']}", "response": whole}


def embeddings(request: Request) -> Answer:
    call = request.open("embeddings", request.json["model"], "")
    _served(request, call)
    inputs = request.json["input"]
    vector: Any = [0.25, -0.5, 0.125]
    if request.json.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack("<3f", *vector)).decode()
    count = len(inputs) if isinstance(inputs, list) and not isinstance(inputs[0], int) else 1
    data = [{"object": "embedding", "index": number, "embedding": vector} for number in range(count)]
    usage = {"prompt_tokens": call.input_tokens, "total_tokens": call.input_tokens}
    answer: dict[str, Any] = {"object": "list", "model": call.response_model, "data": data, "usage": usage}
    if request.provider == "mistral_ai":
        call.response_id = answer["id"] = f"embd-{uuid.uuid4().hex[:20]}"
    return Answer(JSON, json.dumps(answer).encode())


def _events(events: Iterable[dict[str, Any]], *, named: bool) -> Iterator[bytes]:
    for number, event in enumerate(events):
        if named:
            yield f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': number})}\n\n".encode()
        else:
            yield f"data: {json.dumps(event)}\n\n".encode()
    if not named:
        yield b"data: [DONE]\n\n"
