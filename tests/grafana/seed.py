"""A month of calls in which every panel has something to show, and exact answers are easy to work out."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

TENANT = "acme"
NEIGHBOUR = "o'hara & sons"
# Minutes before now: nobody called in this part of the last hour.
SILENCE = range(20, 30)

_MODELS = {
    "gpt-4o": ("openai", 0.9),
    "gpt-4o-mini": ("openai", 0.4),
    "o3": ("openai", 4.0),
    "claude-sonnet-4": ("anthropic", 1.4),
    "claude-haiku-4": ("anthropic", 0.5),
    "gemini-2.5-pro": ("gcp.gemini", 1.1),
    "gemini-2.5-flash": ("gcp.gemini", 0.3),
    "mistral-large": ("mistral_ai", 0.8),
    "command-r": ("cohere", 0.7),
    "o'brien-7b": ("self hosted", 0.6),
}
_SERVICES = ("support-chat", "search", "batch-summaries")
_ERRORS = ("rate_limit", "timeout", "server_error", "")


@dataclass(frozen=True)
class Seed:
    """`now` is in whole seconds; calls, events and unmapped are rows for JSONEachRow."""

    now: int
    calls: list[dict[str, Any]]
    events: list[dict[str, Any]]
    unmapped: list[dict[str, Any]]

    def of(self, tenant: str = TENANT, *, since: int = 0) -> list[dict[str, Any]]:
        """The calls of `tenant` from the minute of `since` on."""
        return [row for row in self.calls if row["tenant"] == tenant and row["at"] >= since // 60 * 60]


def seed(now: int) -> Seed:
    random_ = random.Random(7)
    recent = [
        now - 60 * minute - second for minute in range(60) if minute not in SILENCE for second in (3, 9, 17, 28, 41)
    ]
    hourly = [now - 3600 * hour - 1800 for hour in range(1, 30 * 24)]
    calls = [_call(number, at, random_) for number, at in enumerate(recent + hourly)]
    events = [_event(now - 600, "guardrail.block", "high"), _event(now - 900, "tool.allowed", "info")]
    return Seed(now, calls, events, [_unmapped(now - 600, service) for service in _SERVICES])


def _call(number: int, at: int, random_: random.Random) -> dict[str, Any]:
    model = list(_MODELS)[number % len(_MODELS)]
    provider, seconds = _MODELS[model]
    failed = number % 11 == 0
    streaming = number % 2 == 0 and not failed
    duration = round(seconds * random_.lognormvariate(0, 0.5), 3)
    input_tokens, output_tokens = (random_.randrange(50, 4000), random_.randrange(5, 900)) if not failed else (0, 0)
    return {
        "at": at,
        "timestamp": _text(at),
        "received_at": _text(at + 1),
        "tenant": NEIGHBOUR if number % 10 == 5 else TENANT,
        "service": _SERVICES[number % len(_SERVICES)],
        "environment": "production" if number % 4 else "staging",
        "role": "llm",
        "operation": "chat",
        "provider": provider,
        "model": model,
        "input_tokens": input_tokens,
        "cached_input_tokens": input_tokens // 3,
        "cache_write_tokens": input_tokens // 10,
        "output_tokens": output_tokens,
        "reasoning_tokens": output_tokens // 4 if model == "o3" else 0,
        "streaming": streaming,
        "time_to_first_token": round(duration / 4, 3) if streaming else None,
        "duration": duration,
        "is_error": failed,
        "error_class": _ERRORS[number % len(_ERRORS)] if failed else "",
        "user_id": f"user-{number % 7}" if number % 3 else "",
        "session_id": f"session-{number // 4}",
        "has_usage": not failed,
        "trace_id": f"{number:032x}",
        "cost": None if provider == "self hosted" else round((input_tokens + 4 * output_tokens) * 1e-6, 9),
    }


def _event(at: int, name: str, severity: str) -> dict[str, Any]:
    return {
        "timestamp": _text(at),
        "received_at": _text(at),
        "tenant": TENANT,
        "service": "support-chat",
        "environment": "production",
        "event_name": name,
        "category": "security",
        "severity": severity,
        "action": "blocked",
        "object": "prompt",
    }


def _unmapped(at: int, service: str) -> dict[str, Any]:
    return {
        "day": _text(at)[:10],
        "tenant": TENANT,
        "service": service,
        "source": "span",
        "span_name": "summarise *",
        "operation": "summarise",
        "spans": 3,
        "last_at": _text(at),
        "sample_trace_id": "ab" * 16,
    }


def _text(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
