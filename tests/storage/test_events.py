"""Log events that matter to the business or to security become rows of llm_events."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from collector.envelope import wrap
from collector.signals import Signal
from storage.embedded import EmbeddedStore
from tests.collector.direct import store_whole
from tests.collector.requests import logs


def event(store: EmbeddedStore, attributes: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    tenant = f"events-{uuid.uuid4().hex[:8]}"
    body = logs("text", attributes, **fields).SerializeToString()
    envelope = wrap(Signal.LOGS, tenant, body, request_id=uuid.uuid4().int >> 80, received_ns=1_900_000_000_000_000_000)
    store_whole(store, [envelope])
    columns = "event_name, category, severity, action, score, actor, object, policy_id, body"
    return store.rows(f"SELECT {columns} FROM llm_events WHERE tenant = {{t:String}}", params={"t": tenant})


def test_a_guardrail_decision_keeps_what_the_emitter_said(llm_store: EmbeddedStore) -> None:
    attributes = {
        "gen_ai.guardrail.policy.id": "pii-1",
        "gen_ai.guardrail.risk.score": 0.9,
        "llm_hub.security.action": "block",
        "user.id": "u1",
    }
    assert event(llm_store, attributes, event_name="gen_ai.guardrail.result", severity_number=17) == [
        {
            "event_name": "gen_ai.guardrail.result",
            "category": "security",
            "severity": "high",
            "action": "block",
            "score": 0.9,
            "actor": "u1",
            "object": "",
            "policy_id": "pii-1",
            "body": "text",
        }
    ]


@pytest.mark.parametrize("place", ["event.name", "event_name"])
def test_the_name_may_be_an_attribute(llm_store: EmbeddedStore, place: str) -> None:
    (row,) = event(llm_store, {place: "llm_hub.feedback", "gen_ai.evaluation.score.value": -1})
    assert (row["category"], row["score"], row["severity"]) == ("feedback", -1.0, "info")


def test_other_log_records_are_no_events(llm_store: EmbeddedStore) -> None:
    assert event(llm_store, {"event.name": "user.login"}) == []
