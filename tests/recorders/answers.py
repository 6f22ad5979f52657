"""What the APIs of all providers have in common: the request's wishes, tool arguments, failures."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.recorders.ledger import Call, Ledger

TEXT = "Paris is the capital of France."
ENDS = {"filter": "content_filter", "length": "length"}
# Mark -> HTTP status, error class, OpenAI's code, Anthropic's type, message.
FAILURES: dict[str, tuple[int, str, str, str, str]] = {
    "429": (429, "rate_limit", "rate_limit_exceeded", "rate_limit_error", "Rate limit reached, please try again later."),
    "401": (401, "auth", "invalid_api_key", "authentication_error", "Incorrect API key provided."),
    "404": (404, "not_found", "model_not_found", "not_found_error", "The model does not exist or you do not have access to it."),
    "500": (500, "server_error", "server_error", "api_error", "The server had an error while processing your request."),
    "529": (529, "overloaded", "overloaded", "overloaded_error", "Overloaded"),
    "400-context": (
        400, "context_length", "context_length_exceeded", "invalid_request_error",
        "This model's maximum context length is 128000 tokens: prompt is too long, 212000 tokens > 128000 maximum.",
    ),
    "400-filter": (
        400, "content_filter", "content_filter", "invalid_request_error",
        "The response was filtered due to the prompt triggering the content management policy.",
    ),
    "400-bad": (400, "invalid_request", "invalid_value", "invalid_request_error", "Invalid value: 'temperature' must be at most 2."),
}  # fmt: skip


class Failure(Exception):
    def __init__(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers or {}


@dataclass(frozen=True)
class Answer:
    content_type: str
    body: bytes | Iterator[bytes]


@dataclass(frozen=True)
class Tool:
    """A call of a tool that the model asks for."""

    name: str
    arguments: dict[str, Any]
    id: str = field(default_factory=lambda: f"call_{uuid.uuid4().hex[:16]}")


@dataclass(frozen=True)
class Request:
    provider: str
    json: dict[str, Any]
    path: dict[str, str]
    ledger: Ledger

    @property
    def prompt(self) -> str:
        keys = ("messages", "input", "contents", "message", "prompt", "query", "texts")
        messages = next((self.json[key] for key in keys if self.json.get(key)), [""])
        return json.dumps(messages if isinstance(messages, str) else messages[-1])

    def wants(self, mark: str) -> bool:
        return re.search(rf"#{mark}(?![\w-])", self.prompt) is not None

    def open(self, operation: str, model: str, prefix: str, *, streaming: bool = False) -> Call:
        """The entry of this request in the ledger."""
        return self.ledger.open(self.provider, operation, model, prefix, streaming=streaming)

    def failure(self, call: Call) -> tuple[int, str, str, str, str] | None:
        """How the provider words the failure that the prompt asks for."""
        for mark, known in FAILURES.items():
            if self.wants(mark):
                call.status, call.error_class = known[0], known[1]
                call.response_id, call.finish, call.usage_sent = "", "", False
                return known
        return None

    def lost(self, call: Call) -> None:
        """The client waits in vain."""
        call.error_class = "timeout" if self.wants("slow") else "connection"
        call.status, call.response_id, call.response_model, call.finish, call.usage_sent = 0, "", "", "", False

    def finish(self, call: Call, offered: list[tuple[str, Any]], results: list[str]) -> list[Tool]:
        """Enter how the call ends. A tool is called where tools are on offer and none has answered yet."""
        for call_id in results:
            self.ledger.ran(call_id)
        wanted = offered[: 2 if self.wants("two") else 1] if not results and not self.wants("text") else []
        tools = [Tool(name, arguments(schema)) for name, schema in wanted]
        if tools:
            self.ledger.asked(call, {tool.id: tool.name for tool in tools})
        if self.wants("slow") or self.wants("reset"):
            self.lost(call)
        call.finish = next((end for mark, end in ENDS.items() if self.wants(mark)), call.finish)
        return tools


def arguments(schema: dict[str, Any] | None) -> Any:
    """A value that fits a JSON schema."""
    schema = schema or {}
    if "anyOf" in schema:
        return arguments(schema["anyOf"][0])
    if "enum" in schema:
        return schema["enum"][0]
    match str(schema.get("type", "object")).lower():
        case "string":
            return "Paris"
        case "integer":
            return 3
        case "number":
            return 1.5
        case "boolean":
            return True
        case "array":
            return [arguments(schema.get("items"))]
        case _:
            properties = schema.get("properties", {})
            return {name: arguments(properties[name]) for name in schema.get("required", properties)}


def pieces(text: str) -> list[str]:
    half = len(text) // 2
    return [text[:half], text[half:]]
