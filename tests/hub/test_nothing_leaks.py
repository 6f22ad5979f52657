"""What users say and what nobody may know is in no metric, no log line, and no answer to an operator."""

from __future__ import annotations

import json
import time
from typing import Any

import urllib3
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from collector.signals import Signal
from storage.data import rows
from tests.collector.requests import SECOND, call, gauge, logs, span, traces
from tests.hub.conftest import StartHub
from tests.hub.process import PROTOBUF, Hub, until

PROMPT, KEY, PASSWORD = "pr0mpt-a1b2c3", "k3y-d4e5f6", "passw0rd-g7h8i9"
# Names that people give, and that metrics and reports are told apart by.
NAMES = ("model", "provider", "operation", "service", "kind", "type", "scope")
SETTINGS = {
    "telemetry.log_level": "debug",
    "gaps.interval_seconds": "0.2",
    "storage.clickhouse_http.users": f"[{{name: default}}, {{name: other, password: {PASSWORD}}}]",
    # No broker is there, which the log tells again and again.
    "receivers.kafka.brokers": "127.0.0.1:1",
    "receivers.kafka.client": json.dumps(
        {"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN", "sasl.username": "u", "sasl.password": PASSWORD}
    ),
}  # fmt: skip


def everything_said() -> dict[str, Any]:
    """Each attribute that holds content, and each other one that the hub reads but names: numbers, times, errors."""
    content = [row["key"] for row in rows("content") if row["kind"] == "attribute"]
    read = [row["key"] for row in rows("aliases") if not any(name in row["slot"] for name in NAMES)]
    return dict.fromkeys(
        [*content, *read, "exception.message", "authorization", "http.request.header.x-api-key"], PROMPT
    )


def spans() -> list[Span]:
    said = everything_said()
    failed = span(said, status=Status(code=Status.STATUS_CODE_ERROR, message=PROMPT))
    for row in rows("content"):
        if row["kind"] == "event":
            failed.events.add(name=row["key"], time_unix_nano=time.time_ns())
    failed.events.add(name="exception", time_unix_nano=time.time_ns())
    for event in failed.events:
        for key, value in said.items():
            event.attributes.add(key=key).value.string_value = value
    unpriced = call(request__model="no-such-model", response__model="no-such-model", input__messages=PROMPT)
    unmapped = span({"llm.something": PROMPT, "gen_ai.prompt_of_a_kind": PROMPT})
    structured = call(input__messages=[{"role": "user", "content": {"text": PROMPT}}], output__messages=PROMPT)
    dead = span(said, trace_id=b"short")
    future = time.time_ns() + 30 * 3600 * SECOND
    return [failed, unpriced, unmapped, structured, dead, span(said, start_time_unix_nano=future)]


def send_everything(hub: Hub, service: str) -> None:
    request = traces(*spans(), service=service).SerializeToString()
    headers = {**PROTOBUF, "Authorization": f"Bearer {KEY}", "x-api-key": KEY}
    assert hub.post(Signal.TRACES, request, headers).status == 200
    for severity, body in ((9, PROMPT), (17, {"content": PROMPT})):
        record = logs(body, everything_said(), severity_number=severity, event_name="gen_ai.user.message")
        assert hub.post(Signal.LOGS, record.SerializeToString(), headers).status == 200
    point = gauge("queue", 1.0)
    point.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0].attributes.add(key="prompt").value.string_value = PROMPT  # fmt: skip
    assert hub.post(Signal.METRICS, point.SerializeToString(), headers).status == 200


def send_what_is_refused(hub: Hub) -> None:
    whole = traces(*spans()).SerializeToString()
    json_headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    inside = traces(span({"gen_ai.prompt": PROMPT})).SerializeToString().replace(PROMPT.encode(), b"\xff" * len(PROMPT))
    refused = [
        (Signal.TRACES, whole[:-1], PROTOBUF),
        (Signal.TRACES, inside, PROTOBUF),
        (Signal.LOGS, whole, PROTOBUF),
        (Signal.TRACES, json.dumps({"resourceSpans": PROMPT}).encode(), json_headers),
        (Signal.TRACES, f'{{"resourceSpans": [{PROMPT}'.encode(), json_headers),
        (Signal.TRACES, whole, {"Content-Type": PROMPT}),
    ]
    for signal, body, headers in refused:
        hub.post(signal, body, headers)


def send_events(hub: Hub, service: str) -> None:
    base = {"timestamp": time.time(), "service": service}
    good = [{**base, "model": "gpt-4o-mini", "error": "timeout", "error_message": PROMPT, "attributes": {"gen_ai.prompt": PROMPT}},
            {**base, "event": "llm_hub.feedback", "message": PROMPT}]  # fmt: skip
    bad: list[Any] = [{"timestamp": PROMPT, "model": "m"}, PROMPT, {**base, "model": "m", "input_tokens": PROMPT}]
    url = f"{hub.url('OTLP HTTP')}/v1/events"
    for events in (good + bad, bad, PROMPT):
        urllib3.request("POST", url, json=events, headers={"Authorization": f"Bearer {KEY}"}, retries=False)


def told(hub: Hub) -> dict[str, str]:
    """Everything that an operator gets to see, by where."""
    commands = {"status", "status --json", "doctor", "doctor --json"}
    ran = {command: hub.command(*command.split()) for command in commands}
    pages = {path: hub.api(path).data.decode() for path in ("/metrics", "/status", "/readyz", "/healthz")}
    return {**pages, **{name: each.out + each.err for name, each in ran.items()}}


def test_prompts_keys_and_passwords_are_nowhere_but_in_the_store(start_hub: StartHub, service: str) -> None:
    hub = start_hub(SETTINGS)
    send_everything(hub, service)
    send_what_is_refused(hub)
    send_events(hub, service)
    assert hub.clickhouse("SELECT 1", user=f"default:{PASSWORD}x").status in (401, 403)
    assert hub.clickhouse("SELECT 1", user=f"other:{KEY}").status in (401, 403)

    kept = f"SELECT count() AS n FROM otel_traces WHERE ServiceName = '{service}' AND toString(SpanAttributes) LIKE '%{PROMPT}%'"
    assert hub.rows(kept)[0]["n"] > 0
    assert until(lambda: "llmhub_gaps_calls{" in hub.api("/metrics").data.decode())
    found = told(hub)
    assert "no-such-model" in found["/metrics"]
    assert "no-such-model" in found["doctor"]
    hub.close()
    found["log"] = hub.log
    assert "127.0.0.1:1" in found["log"]
    assert all({"time", "level", "logger", "message"} <= json.loads(line).keys() for line in found["log"].splitlines())
    leaks = {(place, secret) for place, text in found.items() for secret in (PROMPT, KEY, PASSWORD) if secret in text}
    assert leaks == set()
