"""Texts of errors quote what was said: they are redacted, and where content is not kept only words that tell the class stay."""

from __future__ import annotations

from typing import Any

import pytest

from collector.signals import Signal
from storage.content_policy import ContentPolicy, ModeRule
from storage.embedded import EmbeddedStore
from tests.collector.direct import store_whole
from tests.collector.requests import any_value, span, traces
from tests.content.sending import envelope

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini"}
SAID = "my plan of ann@example.com"
# What a provider answers, and the class of it.
TEXTS = {
    f"Error code: 429 - slow down, you said '{SAID}'": "rate_limit",
    f"This model's maximum context length is 8192 tokens, and '{SAID}' has more": "context_length",
    f"'{SAID}' was filtered: content management policy": "content_filter",
    f"Timed out after {SAID}": "timeout",
    f"Incorrect API key provided for {SAID}": "auth",
    f"The model {SAID} does not exist": "not_found",
    f"Invalid value: '{SAID}'": "invalid_request",
    f"Connection reset while sending {SAID}": "connection",
    f"status code: 502, {SAID}": "server_error",
    SAID: "other",
}


def failed(text: str, place: str) -> bytes:
    attributes: dict[str, Any] = {**CHAT, "error.type": "_OTHER"}
    if "." in place:
        attributes[place] = text
    made = span(attributes, status={"code": 2, "message": text if place == "status" else ""})
    if place == "exception":
        event = made.events.add(name="exception", time_unix_nano=made.end_time_unix_nano)
        for key in ("exception.message", "exception.stacktrace"):
            event.attributes.add(key=key).value.CopyFrom(any_value(text))
    return traces(made).SerializeToString()


def stored(store: EmbeddedStore, tenant: str, place: str) -> list[tuple[str, str]]:
    """The class of each failed call and what is stored of its span."""
    store_whole(store, [envelope(Signal.TRACES, tenant, failed(text, place)) for text in TEXTS])
    rows = store.rows(
        "SELECT error_class, toString(tuple(t.*)) AS text FROM llm_calls AS c JOIN otel_traces AS t ON t.SpanId = c.span_id "
        "WHERE tenant = {t:String} AND Tenant = {t:String}",
        params={"t": tenant},
    )
    return [(row["error_class"], row["text"]) for row in rows]


PLACES = ["status", "exception", "error.message", "langfuse.observation.status_message"]


@pytest.mark.parametrize("place", PLACES)
def test_texts_of_errors_are_redacted(policy_store: EmbeddedStore, place: str) -> None:
    rows = stored(policy_store, f"errors-keep-{place}", place)
    assert sorted(found for found, _ in rows) == sorted(TEXTS.values())
    assert all("my plan of [email]" in text and "ann@" not in text for _, text in rows)


@pytest.mark.parametrize("mode", ["drop", "mask", "metadata-only"])
@pytest.mark.parametrize("place", PLACES)
def test_where_content_is_not_kept_only_the_class_of_an_error_is_left(
    policy_store: EmbeddedStore, place: str, mode: Any
) -> None:
    tenant = f"errors-{mode}-{place}"
    ContentPolicy(modes=(ModeRule(mode, tenant=tenant),)).load(policy_store)
    rows = stored(policy_store, tenant, place)
    assert sorted(found for found, _ in rows) == sorted(TEXTS.values())
    assert not any("plan" in text or "ann@" in text for _, text in rows)
