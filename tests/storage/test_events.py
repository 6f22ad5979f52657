"""What matters to the business or to security becomes a row of llm_events, whoever tells it, and wherever."""

from __future__ import annotations

import uuid
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.envelope import wrap
from collector.signals import Signal
from storage import data
from storage.embedded import EmbeddedStore
from tests.collector.direct import store_whole
from tests.collector.requests import any_value, call, logs, span, traces

NOW = 1_900_000_000_000_000_000
RECORDINGS = Path(str(resources.files("llmhub").joinpath("recordings")))
EVENTS = list(data.rows("events"))


def stored(store: EmbeddedStore, signal: Signal, request: Message | bytes) -> list[dict[str, Any]]:
    tenant = f"events-{uuid.uuid4().hex[:8]}"
    body = request if isinstance(request, bytes) else request.SerializeToString()
    store_whole(store, [wrap(signal, tenant, body, request_id=uuid.uuid4().int >> 80, received_ns=NOW)])
    return store.rows(
        "SELECT * FROM llm_events WHERE tenant = {t:String} ORDER BY timestamp, object", params={"t": tenant}
    )


def each_event(store: EmbeddedStore, *records: tuple[str, dict[str, Any], int]) -> list[dict[str, Any]]:
    """The events that records of these names, attributes and severity numbers become, in one request."""
    request = logs("")
    del request.resource_logs[:]
    for number, (name, attributes, severity) in enumerate(records):
        fields = {"event_name": name, "severity_number": severity, "time_unix_nano": NOW - len(records) + number}
        request.MergeFrom(logs("", attributes, **fields))
    return stored(store, Signal.LOGS, request)


def event(store: EmbeddedStore, attributes: dict[str, Any], body: Any = "", **fields: Any) -> dict[str, Any]:
    (row,) = stored(store, Signal.LOGS, logs(body, attributes, **fields))
    return row


def span_events(store: EmbeddedStore, *spans: Span) -> list[dict[str, Any]]:
    return stored(store, Signal.TRACES, traces(*spans))


def with_event(parent: Span, name: str, attributes: dict[str, Any]) -> Span:
    added = parent.events.add(name=name, time_unix_nano=parent.end_time_unix_nano)
    for key, value in attributes.items():
        added.attributes.add(key=key).value.CopyFrom(any_value(value))
    return parent


def part(row: dict[str, Any], *columns: str) -> tuple[Any, ...]:
    return tuple(row[column] for column in columns)


def test_a_guardrail_decision_keeps_what_the_emitter_said(llm_store: EmbeddedStore) -> None:
    attributes = {
        "gen_ai.guardrail.component.name": "pii-filter",
        "gen_ai.guardrail.policy.id": "pii-1",
        "gen_ai.guardrail.result.value": "ANONYMIZED",
        "gen_ai.guardrail.risk.category": "PII",
        "gen_ai.guardrail.risk.score": 0.9,
        "gen_ai.guardrail.source": "OUTPUT",
        "gen_ai.response.id": "chatcmpl-1",
        "user.id": "u1",
    }
    row = event(llm_store, attributes, "found a name", event_name="gen_ai.guardrail.result", severity_number=17)
    assert part(row, "event_name", "kind", "category", "source") == (
        "gen_ai.guardrail.result", "gen_ai.guardrail.result", "security", "log")  # fmt: skip
    assert part(row, "severity", "action", "security_category", "stage") == ("high", "redact", "pii", "output")
    assert part(row, "score", "actor", "object", "policy_id") == (0.9, "u1", "pii-filter", "pii-1")
    assert part(row, "response_id", "body") == ("chatcmpl-1", "found a name")
    assert row["attributes"] == {key: str(value) for key, value in attributes.items()}


def test_every_name_and_alias_is_an_event_of_its_kind(llm_store: EmbeddedStore) -> None:
    found = each_event(llm_store, *((row["event_name"], {"llm_hub.cost.amount": 1.5}, 0) for row in EVENTS))
    assert [{name: row[name] for name in ("event_name", "kind", "category")} for row in found] == EVENTS
    assert {row["kind"] for row in EVENTS} <= {row["event_name"] for row in EVENTS}


@pytest.mark.parametrize("place", ["event.name", "event_name"])
def test_the_name_may_be_an_attribute(llm_store: EmbeddedStore, place: str) -> None:
    row = event(llm_store, {place: "llm_hub.feedback", "gen_ai.evaluation.score.value": -1})
    assert part(row, "category", "score", "severity") == ("feedback", -1.0, "info")


def test_the_name_may_be_the_body(llm_store: EmbeddedStore) -> None:
    row = event(
        llm_store, {"decision": "reject", "tool_name": "Bash", "tool_use_id": "t1"}, "claude_code.tool_decision"
    )
    assert part(row, "kind", "action", "object") == ("llm_hub.policy.decision", "deny", "Bash")


@pytest.mark.parametrize("attributes", [{"event.name": "user.login"}, {"event.name": "api_request", "model": "m"}])
def test_other_log_records_are_no_events(llm_store: EmbeddedStore, attributes: dict[str, Any]) -> None:
    assert stored(llm_store, Signal.LOGS, logs("text", attributes)) == []


ACTIONS = {
    "deny": "block",
    "BLOCKED": "block",
    "GUARDRAIL_INTERVENED": "block",
    "modify": "redact",
    "audit": "warn",
    "NONE": "allow",
    "escalate": "escalate",
    "filtered": "block",
    "sanitized": "redact",
    "monitor": "warn",
    "continue": "allow",
    "human_review": "escalate",
    "4": "",
    "quarantine": "quarantine",
}


def test_actions_have_one_spelling_and_keep_the_native_one(llm_store: EmbeddedStore) -> None:
    key = "gen_ai.guardrail.result.value"
    found = each_event(llm_store, *(("gen_ai.guardrail.result", {key: said}, 0) for said in ACTIONS))
    assert {row["attributes"][key]: row["action"] for row in found} == ACTIONS


def test_the_type_of_a_result_is_its_action_where_it_has_no_value(llm_store: EmbeddedStore) -> None:
    row = event(llm_store, {"gen_ai.guardrail.result.type": "deny"}, event_name="gen_ai.guardrail.result")
    assert row["action"] == "block"


RISKS = {
    "Prompt Injection": "prompt_injection",
    '["credit_card", "phone"]': "pii",
    "LLM06": "unsafe_tool_use",
    "self-harm": "toxicity",
    "HARM_CATEGORY_HATE_SPEECH": "toxicity",
    "off-topic": "policy_violation",
    "ungrounded": "hallucination",
    "prompt leakage": "data_exfiltration",
    "weather": "other",
    "safe": "",
    "": "",
}


def test_risks_have_one_spelling(llm_store: EmbeddedStore) -> None:
    key = "gen_ai.guardrail.risk.category"
    found = each_event(llm_store, *(("gen_ai.guardrail.result", {key: said}, 0) for said in RISKS))
    assert {row["attributes"][key]: row["security_category"] for row in found} == RISKS


def test_severity_is_said_or_follows_from_the_records(llm_store: EmbeddedStore) -> None:
    blocked = {"llm_hub.security.action": "block"}
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"llm_hub.event.severity": "critical"}, 9, "critical"),
        ({"microsoft.security.risk.severity": "None"}, 0, "info"),
        *(({}, number, name) for number, name in ((21, "critical"), (17, "high"), (13, "medium"), (10, "low"), (9, "info"), (0, "info"))),
        # Who says nothing of severity, and has intervened.
        (blocked, 0, "medium"),
        (blocked, 9, "info"),
    ]  # fmt: skip
    found = each_event(llm_store, *(("gen_ai.guardrail.result", attributes, number) for attributes, number, _ in cases))
    assert [row["severity"] for row in found] == [severity for _, _, severity in cases]


def test_message_content_is_not_kept(llm_store: EmbeddedStore) -> None:
    attributes = {
        "gen_ai.guardrail.content.input.value": "SECRET",
        "gen_ai.input.messages_delta": "SECRET",
        "gen_ai.output.messages": [{"role": "assistant", "content": "SECRET"}],
        "note": "kept",
        "long": "SECRET" * 1000,
    }
    row = event(llm_store, attributes, {"content": "SECRET"}, event_name="gen_ai.model.request")
    assert row["attributes"] == {"note": "kept"}
    assert "SECRET" not in str(row)


def test_a_span_event_is_an_event_and_knows_its_call(llm_store: EmbeddedStore) -> None:
    chat = call(response__id="chatcmpl-9", agent__name="planner")
    result = {
        "gen_ai.evaluation.name": "Relevance",
        "gen_ai.evaluation.score.value": 0.8,
        "gen_ai.evaluation.score.label": "Pass",
    }
    (row,) = span_events(llm_store, with_event(chat, "gen_ai.evaluation.result", result))
    assert part(row, "source", "kind", "object", "score", "action") == (
        "span_event", "gen_ai.evaluation.result", "Relevance", 0.8, "pass")  # fmt: skip
    assert part(row, "response_id", "actor", "span_id") == ("chatcmpl-9", "planner", chat.span_id.hex())


def test_a_span_event_counts_on_whatever_span_it_is(llm_store: EmbeddedStore) -> None:
    threat = {
        "gen_ai.agent.threat.rule_id": "ssrf-1",
        "gen_ai.agent.threat.severity": "high",
        "gen_ai.agent.threat.threat_class": "exfiltration",
    }
    request = with_event(
        span({"http.request.method": "POST"}, name="POST /chat"), "gen_ai.agent.threat_detected", threat
    )
    (row,) = span_events(llm_store, request)
    assert part(row, "severity", "security_category", "policy_id") == ("high", "data_exfiltration", "ssrf-1")
    assert llm_store.rows(f"SELECT role FROM llm_steps WHERE span_id = '{request.span_id.hex()}'") == []


def test_openlit_guards_are_span_events(llm_store: EmbeddedStore) -> None:
    said = {"guard.name": "prompt_injection", "guard.phase": "preflight", "guard.action": "deny", "guard.score": 0.97,
            "guard.classification": "prompt_injection", "guard.explanation": "rule 3", "guard.latency_ms": 1.2}  # fmt: skip
    (row,) = span_events(llm_store, with_event(call(), "guard.evaluation", said))
    assert part(row, "action", "security_category", "stage", "score", "object") == (
        "block", "prompt_injection", "input", 0.97, "prompt_injection")  # fmt: skip


GUARDRAILS: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "OpenTelemetry": (
        {"gen_ai.operation.name": "apply_guardrail", "gen_ai.guardrail.component.name": "armor", "gen_ai.guardrail.result.value": "deny",
         "gen_ai.guardrail.source": "input"}, "block", "input", "armor"),
    "Agent 365": (
        {"gen_ai.operation.name": "apply_guardrail", "microsoft.guardian.name": "armor", "microsoft.security.decision.type": "modify",
         "microsoft.security.target.type": "llm_output"}, "redact", "output", "armor"),
    "LiteLLM": (
        {"openinference.span.kind": "GUARDRAIL", "guardrail_name": "armor", "guardrail_mode": "pre_call", "guardrail_status": "guardrail_intervened"},
        "block", "input", "armor"),
    "LiteLLM, second generation": (
        {"litellm.guardrail.name": "armor", "litellm.guardrail.mode": "post_call", "litellm.guardrail.status": "success"}, "allow", "output", "armor"),
    "NeMo Guardrails": ({"rail.type": "input", "rail.name": "armor", "rail.stop": True}, "block", "input", "armor"),
    "OpenInference": ({"openinference.span.kind": "GUARDRAIL"}, "", "", ""),
    "Langfuse": ({"langfuse.observation.type": "guardrail"}, "", "", ""),
}  # fmt: skip


@pytest.mark.parametrize("dialect", GUARDRAILS)
def test_a_guardrail_span_is_a_security_event(llm_store: EmbeddedStore, dialect: str) -> None:
    attributes, action, stage, name = GUARDRAILS[dialect]
    checked = span(attributes, name="check")
    (row,) = span_events(llm_store, checked)
    assert part(row, "kind", "source", "event_name") == ("gen_ai.guardrail.result", "span", "check")
    assert part(row, "action", "stage", "object") == (action, stage, name)
    assert llm_store.rows(f"SELECT role FROM llm_steps WHERE span_id = '{checked.span_id.hex()}'") == [
        {"role": "guardrail"}
    ]


def test_the_finding_of_a_guardrail_is_told_once_with_what_its_span_knows(llm_store: EmbeddedStore) -> None:
    guardrail = span(
        {
            "gen_ai.operation.name": "apply_guardrail",
            "microsoft.security.target.type": "llm_input",
            "microsoft.security.decision.type": "deny",
        }
    )
    finding = {
        "microsoft.security.risk.category": "jailbreak",
        "microsoft.security.risk.severity": "critical",
        "microsoft.security.risk.score": 0.99,
    }
    (row,) = span_events(llm_store, with_event(guardrail, "microsoft.security.finding", finding))
    assert part(row, "action", "severity", "stage", "security_category", "score") == (
        "block",
        "critical",
        "input",
        "jailbreak",
        0.99,
    )
    assert row["attributes"] == {key: str(value) for key, value in finding.items()}


def test_a_result_that_a_span_and_its_log_record_tell_is_read_once(llm_store: EmbeddedStore) -> None:
    tenant = f"events-{uuid.uuid4().hex[:8]}"
    said = {"gen_ai.guardrail.component.name": "armor", "gen_ai.guardrail.result.value": "deny"}
    told, alone = (span({"gen_ai.operation.name": "apply_guardrail", **said}) for _ in range(2))
    record = logs("", said, event_name="gen_ai.guardrail.result", trace_id=told.trace_id, span_id=told.span_id)
    for signal, request in ((Signal.TRACES, traces(told, alone)), (Signal.LOGS, record)):
        body = request.SerializeToString()
        store_whole(llm_store, [wrap(signal, tenant, body, request_id=uuid.uuid4().int >> 80, received_ns=NOW)])
    sql = "SELECT source FROM {} WHERE tenant = {{t:String}} ORDER BY source"
    sources = {
        table: [row["source"] for row in llm_store.rows(sql.format(table), params={"t": tenant})]
        for table in ("llm_events", "llm_events_once")
    }
    assert sources == {"llm_events": ["log", "span", "span"], "llm_events_once": ["log", "span"]}


def test_results_in_openinference_attributes_are_an_event_each(llm_store: EmbeddedStore) -> None:
    attributes = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4o",
        "evaluations.0.evaluation.name": "correctness",
        "evaluations.0.evaluation.score": 0.25,
        "evaluations.0.evaluation.label": "Wrong",
        "evaluations.10.evaluation.name": "toxicity",
        "evaluations.10.evaluation.score": 0,
        "trace.annotations.1.annotation.name": "thumbs",
        "trace.annotations.1.annotation.annotator_kind": "HUMAN",
        "trace.annotations.1.annotation.label": "up",
    }
    rows = span_events(llm_store, span(attributes, name="ChatCompletion"))
    assert [part(row, "kind", "object", "score", "action", "actor") for row in rows] == [
        ("gen_ai.evaluation.result", "correctness", 0.25, "wrong", ""),
        ("gen_ai.evaluation.result", "thumbs", None, "up", "HUMAN"),
        ("gen_ai.evaluation.result", "toxicity", 0.0, "", ""),
    ]
    assert rows[0]["attributes"] == {
        "evaluation.name": "correctness",
        "evaluation.score": "0.25",
        "evaluation.label": "Wrong",
    }


def test_an_evaluator_span_is_an_event_when_it_says_a_result(llm_store: EmbeddedStore) -> None:
    said = span({"openinference.span.kind": "EVALUATOR", "gen_ai.evaluation.score.value": 1})
    silent = span({"openinference.span.kind": "EVALUATOR"})
    assert [row["span_id"] for row in span_events(llm_store, said, silent)] == [said.span_id.hex()]


def test_a_request_sent_twice_is_one_event(llm_store: EmbeddedStore) -> None:
    tenant = f"events-{uuid.uuid4().hex[:8]}"
    body = logs("", {"llm_hub.security.action": "block"}, event_name="llm_hub.security.finding").SerializeToString()
    envelope = wrap(Signal.LOGS, tenant, body, request_id=uuid.uuid4().int >> 80, received_ns=NOW)
    for _ in range(2):
        store_whole(llm_store, [envelope])
    assert llm_store.rows(f"SELECT count() AS n FROM llm_events WHERE tenant = '{tenant}'") == [{"n": 1}]


def test_a_recorded_session_of_a_coding_agent_tells_its_decisions_and_costs(llm_store: EmbeddedStore) -> None:
    rows = stored(llm_store, Signal.LOGS, (RECORDINGS / "claude-code-SYNTHETIC" / "session.logs.pb").read_bytes())
    decisions = [row for row in rows if row["kind"] == "llm_hub.policy.decision"]
    costs = [row for row in rows if row["kind"] == "llm_hub.cost.recorded"]
    assert {part(row, "action", "object") for row in decisions} == {("allow", "Bash")}
    assert costs
    assert all(row["score"] > 0 and row["object"].startswith("claude") for row in costs)
