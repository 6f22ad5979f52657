"""LLM calls and events in plain JSON, validated and as OTLP.

What a field may hold and which attribute it becomes stands in events.schema.json. The bytes depend on the events
alone, so a request that is sent again is the same request to the collector.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any

import jsonschema_rs

from collector.pipeline import Signal
from receivers import json_text, otlp_json
from storage.schema import MIN_TIME, MIN_TIME_UNIX_NANO

Document = dict[str, Any]

SCHEMA: Document = json.loads(resources.files("receivers").joinpath("events.schema.json").read_text(encoding="utf-8"))
SCOPE = "llmhub.events"
_TOLD_CHARACTERS = 200
_MILLISECOND = 1_000_000
# In 2255. A call of the longest duration still ends before the 64 bits do.
_MAX_TIME_UNIX_NANO = 9 * 10**18
# https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber, as llm_events reads it
_SEVERITIES = {"info": 9, "low": 10, "medium": 13, "high": 17, "critical": 21}
_CLIENT, _ERROR = 3, 2
# What a count is the whole of; otherwise a part would be priced that nobody has used.
_INCLUSIVE = {"input_tokens": ("cached_input_tokens", "cache_write_tokens"), "output_tokens": ("reasoning_tokens",)}
_RESOURCE_FIELDS = {"service": "service.name", "environment": "deployment.environment.name"}
_validator = jsonschema_rs.validator_for(SCHEMA)


@dataclass(frozen=True)
class Rejected:
    """An event that was not taken: its place in the request, the JSON path of the culprit, and what to do."""

    index: int
    path: str
    message: str


@dataclass
class Converted:
    """The events of one request: OTLP requests for what is valid, `accepted` in number, and the rest."""

    requests: dict[Signal, bytes] = field(default_factory=dict)
    accepted: int = 0
    rejected: list[Rejected] = field(default_factory=list)


class InvalidEvent(Exception):
    """`path` is the JSON path of the culprit; str() says what is wrong with it and what it should be."""

    def __init__(self, message: str, path: str = "$") -> None:
        super().__init__(message)
        self.path = path


def convert(events: Iterable[Any]) -> Converted:
    """The OTLP of all valid events. An InvalidEvent among them is one whose text could not be read as JSON."""
    result = Converted()
    resources: dict[Signal, dict[tuple[str, str], list[Document]]] = {Signal.TRACES: {}, Signal.LOGS: {}}
    seen: Counter[bytes] = Counter()
    for index, event in enumerate(events):
        try:
            signal, record = _record(event, seen)
        except InvalidEvent as error:
            result.rejected.append(Rejected(index, error.path, str(error)))
            continue
        result.accepted += 1
        origin = (event.get("service", "unknown_service"), event.get("environment", ""))
        resources[signal].setdefault(origin, []).append(record)
    for signal, groups in resources.items():
        if groups:
            result.requests[signal] = otlp_json.encode(signal, _request(signal, groups))
    return result


def parse_event(text: bytes) -> Any:
    """The JSON value in `text`. Raises InvalidEvent."""
    if not text.strip():
        raise InvalidEvent("This is empty. Send one event, or an array of them; [] is none.")
    try:
        return json_text.read(text, strict_numbers=True)
    except json_text.Unreadable as error:
        raise InvalidEvent(str(error)) from None


def _record(event: Any, seen: Counter[bytes]) -> tuple[Signal, Document]:
    if isinstance(event, InvalidEvent):
        raise event
    digest = _digest(event)
    _validate(event)
    start = _nanoseconds(event["timestamp"])
    # The same event twice in one request is two events.
    seen[digest] += 1
    if seen[digest] > 1:
        digest = hashlib.sha256(digest + seen[digest].to_bytes(4)).digest()
    if "event" in event:
        return Signal.LOGS, _log_record(event, start)
    return Signal.TRACES, _span(event, start, digest)


def _digest(event: Any) -> bytes:
    try:
        text = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).digest()
    except UnicodeEncodeError:
        message = "A text has an unpaired surrogate (\\ud800 to \\udfff), which is no character. Leave it out."
        raise InvalidEvent(message) from None
    except RecursionError:
        raise InvalidEvent("This nests too deeply. Send flat fields, and the rest in attributes.") from None


def _validate(event: Any) -> None:
    try:
        error = next(iter(_validator.iter_errors(event)), None)
    except ValueError as deep:
        raise InvalidEvent(f"This cannot be checked: {deep}. Send flat fields, and the rest in attributes.") from None
    if error is not None:
        said = error.message
        if error.schema_path[-1] == "pattern":  # which is no text for people; the remedy is
            said = f"{json.dumps(error.instance, ensure_ascii=False)} has not the form that is needed"
        message = f"{said[:_TOLD_CHARACTERS]}. {_remedy(error.schema_path)}"
        raise InvalidEvent(message.rstrip(), _path(error.instance_path))
    for whole, parts in _INCLUSIVE.items():
        total = sum(event.get(part, 0) for part in parts)
        if total > event.get(whole, total):
            names = " and ".join(part for part in parts if part in event)
            told = f"{whole} is {event[whole]} and {names} {total}. The first includes the others."
            raise InvalidEvent(f"{told} Send all tokens in {whole}.", f"$.{whole}")


def _remedy(schema_path: Iterable[str | int]) -> str:
    """The description that stands next to the rule that was broken."""
    node: Any = SCHEMA
    remedy = "Send an object, or an array of them; /v1/events/schema describes it."
    for step in schema_path:
        node = node[step]
        if isinstance(node, dict):
            remedy = node.get("description", remedy)
    return str(remedy)


def _path(steps: Iterable[str | int]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _nanoseconds(timestamp: str | float) -> int:
    if not isinstance(timestamp, str):
        # A float holds microseconds of our time, and no more.
        return timestamp * 10**9 if isinstance(timestamp, int) else round(timestamp * 1e6) * 1000
    head, tail = timestamp[:19], timestamp[19:]
    digits = tail[1:].rstrip("Zz").partition("+")[0].partition("-")[0] if tail.startswith(".") else ""
    zone = tail[len(digits) + 1 :] if digits else tail
    try:
        moment = datetime.fromisoformat(head.replace("t", "T") + zone.upper())
        nanoseconds = int(moment.timestamp()) * 10**9 + int(digits.ljust(9, "0"))
    except (ValueError, OverflowError):
        raise InvalidEvent(f"{timestamp!r} is no date and time of the calendar.", "$.timestamp") from None
    if nanoseconds < MIN_TIME_UNIX_NANO:
        raise InvalidEvent(f"{timestamp!r} is before {MIN_TIME}. Send when it happened.", "$.timestamp")
    if nanoseconds > _MAX_TIME_UNIX_NANO:
        raise InvalidEvent(f"{timestamp!r} is centuries ahead. Send when it happened.", "$.timestamp")
    return nanoseconds


def _span(call: Document, start: int, digest: bytes) -> Document:
    operation = call.get("operation", "chat")
    attributes = [*_own({**call, "operation": operation}, "call"), *_derived(call), *_free(call)]
    span = {
        "traceId": call.get("trace_id", digest[:16].hex()),
        "spanId": call.get("span_id", digest[16:24].hex()),
        "parentSpanId": call.get("parent_span_id"),
        "name": f"{operation} {call['model']}",
        "kind": _CLIENT,
        "startTimeUnixNano": start,
        "endTimeUnixNano": start + round(call.get("duration_ms", 0) * _MILLISECOND),
        "attributes": attributes,
    }
    if "error" in call:
        span["status"] = {"code": _ERROR, "message": call.get("error_message", "")}
    return span


def _derived(call: Document) -> Iterator[Document]:
    """Attributes that are not the value of one field."""
    if "time_to_first_token_ms" in call:
        yield _attribute("gen_ai.response.time_to_first_chunk", call["time_to_first_token_ms"] / 1000)
    if "cached_input_tokens" in call or "cache_write_tokens" in call:
        yield _attribute("gen_ai.token.semantics", "inclusive")


def _log_record(event: Document, time: int) -> Document:
    severity = event.get("severity", "info")
    return {
        "timeUnixNano": time,
        "severityNumber": _SEVERITIES[severity],
        "severityText": severity,
        "body": {"stringValue": event["message"]} if "message" in event else None,
        "eventName": event["event"],
        "traceId": event.get("trace_id"),
        "spanId": event.get("span_id"),
        "attributes": [*_own(event, "event"), *_free(event)],
    }


def _own(event: Document, kind: str) -> Iterator[Document]:
    """The fields that become an attribute each, in the order of the schema."""
    for name, rule in _attribute_fields(kind).items():
        if name in event:
            # JSON has one kind of number: 5.0 is a whole one, too.
            value = int(event[name]) if rule.get("type") == "integer" else event[name]
            yield _attribute(rule["x-attribute"], [value] if name == "finish_reason" else value)


@cache
def _attribute_fields(kind: str) -> dict[str, Document]:
    """The rules of the fields that become an attribute, those of the resource left out."""
    definitions = SCHEMA["$defs"]
    fields = definitions[kind]["properties"].items()
    rules = {name: definitions[rule["$ref"].rpartition("/")[2]] if "$ref" in rule else rule for name, rule in fields}
    return {name: rule for name, rule in rules.items() if "x-attribute" in rule and name not in _RESOURCE_FIELDS}


def _free(event: Document) -> Iterator[Document]:
    for key, value in sorted(event.get("attributes", {}).items()):
        if value is not None:
            yield _attribute(key, value)


def _attribute(key: str, value: Any) -> Document:
    return {"key": key, "value": _any_value(value)}


def _any_value(value: Any) -> Document:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": value}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    return {"arrayValue": {"values": [_any_value(item) for item in value]}}


def _request(signal: Signal, groups: dict[tuple[str, str], list[Document]]) -> Document:
    outer, inner, records = _SHAPES[signal]
    scope = {"name": SCOPE}
    return {
        outer: [
            {"resource": {"attributes": _origin(origin)}, inner: [{"scope": scope, records: group}]}
            for origin, group in groups.items()
        ]
    }


def _origin(origin: tuple[str, str]) -> list[Document]:
    named = zip(_RESOURCE_FIELDS.values(), origin, strict=True)
    return [_attribute(key, value) for key, value in named if value]


_SHAPES = {
    Signal.TRACES: ("resourceSpans", "scopeSpans", "spans"),
    Signal.LOGS: ("resourceLogs", "scopeLogs", "logRecords"),
}
