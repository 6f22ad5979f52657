"""The examples of docs/events.md and docs/enrichment.md, run as they stand, become the rows they are said to become."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.docs.documents import blocks, document
from tests.hub.process import Hub, until

SETUP, *EXAMPLES = blocks(document("docs/events.md"), "python")
(SERVICE_EXAMPLE,) = blocks(document("docs/enrichment.md"), "python")
EXPECTED: dict[str, dict[str, Any]] = {
    "gen_ai.guardrail.result": {
        "category": "security", "severity": "medium", "action": "block", "security_category": "prompt_injection", "stage": "input",
        "score": 0.93, "actor": "ann", "object": "prompt-armor", "policy_id": "injection-1"},
    "llm_hub.security.finding": {
        "category": "security", "severity": "high", "security_category": "secrets", "score": 0.7, "policy_id": "api-key-in-answer"},
    "llm_hub.cost.recorded": {"category": "cost", "score": 1250.0, "object": "CC-7"},
    "llm_hub.budget.threshold": {"category": "cost", "severity": "high", "action": "throttle", "score": 0.94, "object": "payments-monthly"},
    "llm_hub.policy.decision": {
        "category": "governance", "action": "deny", "actor": "support-agent", "object": "delete_customer", "policy_id": "tools-in-production"},
    "llm_hub.approval.decision": {"category": "governance", "action": "approved", "actor": "bob", "object": "call_7"},
    "llm_hub.compliance.check": {"category": "compliance", "action": "pass", "policy_id": "art-12-logging"},
    "llm_hub.data_subject.request": {"category": "compliance", "action": "completed", "object": "9f86d081884c7d65"},
    "llm_hub.audit.action": {"category": "compliance", "action": "prompt.publish", "actor": "ann", "object": "refund-answer"},
    "gen_ai.evaluation.result": {
        "category": "evaluation", "action": "pass", "score": 0.85, "object": "relevance", "response_id": "chatcmpl-42", "actor": "llm"},
    "llm_hub.feedback": {"category": "feedback", "action": "thumbs_down", "score": -1.0, "actor": "ann", "object": "user_feedback", "response_id": "chatcmpl-42"},
    "llm_hub.asset.change": {"category": "asset", "action": "deployed", "object": "refund-answer"},
}  # fmt: skip
TEXTS = ("action", "security_category", "stage", "actor", "object", "policy_id", "response_id", "body", "trace_id")
UNSAID: dict[str, Any] = {**dict.fromkeys(TEXTS, ""), "severity": "info", "score": None}


def run(monkeypatch: pytest.MonkeyPatch, hub: Hub, service: str, *examples: str) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", hub.url("OTLP HTTP"))
    names: dict[str, Any] = {}
    exec(SETUP.replace('"shop"', f'"{service}"'), names)
    for example in examples:
        exec(example, names)
    names["provider"].shutdown()


def test_every_example_becomes_the_event_it_is(hub: Hub, service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, hub, service, *EXAMPLES)
    sql = f"SELECT * FROM llm_events WHERE service = '{service}'"
    until(lambda: len(hub.rows(sql)) == len(EXPECTED), 20)
    found = {row["kind"]: row for row in hub.rows(sql)}
    assert found.keys() == EXPECTED.keys()
    for kind, expected in EXPECTED.items():
        whole = {**UNSAID, **expected, "event_name": kind, "source": "log"}
        assert {name: found[kind][name] for name in whole} == whole


def test_there_is_an_example_of_every_kind() -> None:
    assert [re.findall(r'event_name="(.+)"', example) for example in EXAMPLES] == [[kind] for kind in EXPECTED]


def test_the_example_of_a_service_registers_it(hub: Hub, service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, hub, service, SERVICE_EXAMPLE.replace('"checkout"', f'"{service}"'))
    sql = f"SELECT * FROM llm_services WHERE service = '{service}'"
    until(lambda: hub.rows(sql), 25)
    assert hub.rows(sql) == [
        {
            "tenant": "default", "service": service, "team": "payments", "owner": "ann@example.com", "cost_center": "CC-7",
            "tier": "production", "approved_models": ["gpt-4o*", "claude-*"],
        }
    ]  # fmt: skip
