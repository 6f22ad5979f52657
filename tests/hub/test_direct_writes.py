"""Another collector with a ClickHouse exporter writes the tables itself, through the ClickHouse port."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

import pytest

from tests.hub.process import Hub


def span(service: str) -> bytes:
    row = {
        "Timestamp": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}000",
        "TraceId": os.urandom(16).hex(),
        "SpanId": os.urandom(8).hex(),
        "ParentSpanId": "",
        "TraceState": "",
        "SpanName": "chat gpt-4o-mini",
        "SpanKind": "Client",
        "ServiceName": service,
        "ResourceAttributes": {"service.name": service, "deployment.environment.name": "production"},
        "ScopeName": "another",
        "ScopeVersion": "1",
        "SpanAttributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.usage.input_tokens": "1000000",
            "gen_ai.usage.output_tokens": "500000",
        },
        "Duration": 2_500_000_000,
        "StatusCode": "Ok",
        "StatusMessage": "",
        "Events.Timestamp": [],
        "Events.Name": [],
        "Events.Attributes": [],
        "Links.TraceId": [],
        "Links.SpanId": [],
        "Links.TraceState": [],
        "Links.Attributes": [],
    }
    return json.dumps(row).encode()


def test_a_span_written_into_otel_traces_becomes_a_priced_call(hub: Hub, service: str) -> None:
    columns = ", ".join(f"`{name}`" for name in json.loads(span(service)))
    sql = f"INSERT INTO otel_traces ({columns}) FORMAT JSONEachRow"
    answer = hub.clickhouse(sql, span(service), user="writer:secret")
    assert answer.status == 200, answer.data
    (call,) = hub.rows(f"SELECT * FROM llm_calls WHERE service = '{service}'")
    assert (call["tenant"], call["environment"], call["model"]) == ("default", "production", "gpt-4o-mini-2024-07-18")
    assert (call["input_tokens"], call["output_tokens"], call["duration"]) == (1_000_000, 500_000, 2.5)
    assert call["cost"] == pytest.approx(0.45)
    (minute,) = hub.rows(f"SELECT sum(calls) AS calls, sum(cost) AS cost FROM llm_calls_1m WHERE service = '{service}'")
    assert minute == {"calls": 1, "cost": pytest.approx(0.45)}


def test_a_user_who_may_only_read_cannot_write(hub: Hub, service: str) -> None:
    answer = hub.clickhouse("INSERT INTO otel_traces FORMAT JSONEachRow", span(service))
    assert answer.status != 200
    assert b"READONLY" in answer.data
    assert hub.count("otel_traces", service) == 0
