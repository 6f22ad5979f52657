"""POST /v1/events: plain JSON becomes OTLP, and each invalid event is told and harms no other."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client import CollectorRegistry

from collector.errors import InvalidRequest, Overloaded, Unavailable
from collector.pipeline import Acknowledgement, Signal
from receivers.events import EventMetrics, event_routes
from receivers.events_otlp import SCHEMA, convert
from receivers.intake import SingleTenant
from receivers.intake_budget import IntakeBudget
from receivers.otlp_http import OtlpHttpReceiver, OtlpHttpSettings
from tests.receivers.recorder import Loop, Recorder, serving

SETTINGS = OtlpHttpSettings(listen="127.0.0.1:0", max_body_bytes=100_000, body_timeout_seconds=0.5)
JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}
CALL = {"timestamp": "2026-01-31T12:00:00.25Z", "model": "gpt-4o"}
FEEDBACK = {"timestamp": 1769860800, "event": "llm_hub.feedback", "score": 1}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def url(recorder: Recorder, loop: Loop, registry: CollectorRegistry) -> Iterator[str]:
    routes = event_routes(recorder, SETTINGS, SingleTenant(), EventMetrics(registry), IntakeBudget())
    with serving(OtlpHttpReceiver(recorder, SETTINGS, routes=routes), loop) as address:
        yield f"http://{address}/v1/events"


def post(url: str, body: Any, headers: dict[str, str] = JSON) -> requests.Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return requests.post(url, data=data, headers=headers, timeout=10)


def values(attributes: Any) -> dict[str, Any]:
    def value(item: KeyValue) -> Any:
        kind = item.value.WhichOneof("value")
        if kind == "array_value":
            return [getattr(v, str(v.WhichOneof("value"))) for v in item.value.array_value.values]
        return getattr(item.value, str(kind))

    return {item.key: value(item) for item in attributes}


def spans(body: bytes) -> list[Span]:
    request = ExportTraceServiceRequest.FromString(body)
    return [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]


def span_of(**fields: Any) -> Span:
    (span,) = spans(convert([{**CALL, **fields}]).requests[Signal.TRACES])
    return span


def log_of(**fields: Any) -> LogRecord:
    request = ExportLogsServiceRequest.FromString(convert([{**FEEDBACK, **fields}]).requests[Signal.LOGS])
    return request.resource_logs[0].scope_logs[0].log_records[0]


def test_a_call_becomes_a_span_in_the_genai_convention() -> None:
    span = span_of(
        provider="openai", operation="chat", input_tokens=12, cached_input_tokens=4, output_tokens=3.0, duration_ms=812.5,
        user="ann", session="s1", cost=0.25, time_to_first_token_ms=200, finish_reason="stop", streaming=True,
        attributes={"tier": "gold", "tries": 2, "ratio": 0.5, "cached": False, "tags": ["a", 1], "none": None},
    )  # fmt: skip
    assert (span.name, span.kind, span.status.code) == ("chat gpt-4o", Span.SPAN_KIND_CLIENT, 0)
    assert span.start_time_unix_nano == 1_769_860_800_250_000_000
    assert span.end_time_unix_nano - span.start_time_unix_nano == 812_500_000
    assert (len(span.trace_id), len(span.span_id), span.parent_span_id) == (16, 8, b"")
    assert values(span.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cost": 0.25,
        "gen_ai.request.stream": True,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": 0.2,
        "gen_ai.token.semantics": "inclusive",
        "gen_ai.conversation.id": "s1",
        "user.id": "ann",
        "tier": "gold",
        "tries": 2,
        "ratio": 0.5,
        "cached": False,
        "tags": ["a", 1],
    }


def test_a_failed_call_is_a_span_with_an_error() -> None:
    span = span_of(error="429", error_message="slow down")
    assert (span.status.code, span.status.message) == (2, "slow down")
    assert values(span.attributes)["error.type"] == "429"


def test_an_event_becomes_a_log_record_with_its_name() -> None:
    log = log_of(severity="high", label="good", message="well done", user="ann", id="f1", trace_id="ab" * 16)
    assert (log.event_name, log.severity_number, log.severity_text) == ("llm_hub.feedback", 17, "high")
    assert (log.body.string_value, log.time_unix_nano) == ("well done", 1_769_860_800_000_000_000)
    assert (log.trace_id, log.span_id) == (b"\xab" * 16, b"")
    assert values(log.attributes) == {
        "log.record.uid": "f1", "gen_ai.evaluation.score.value": 1, "gen_ai.evaluation.score.label": "good", "user.id": "ann",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("timestamp", "nanoseconds"),
    [
        ("2026-01-31T12:00:00Z", 1_769_860_800_000_000_000),
        ("2026-01-31t14:00:00.123456789+02:00", 1_769_860_800_123_456_789),
        ("2026-01-31 06:30:00.5-05:30", 1_769_860_800_500_000_000),
        (1769860800, 1_769_860_800_000_000_000),
        (1769860800.25, 1_769_860_800_250_000_000),
    ],
)
def test_a_time_is_a_text_with_a_zone_or_seconds(timestamp: str | float, nanoseconds: int) -> None:
    assert span_of(timestamp=timestamp).start_time_unix_nano == nanoseconds


@pytest.mark.parametrize(
    ("wrong", "path", "text"),
    [
        ({"timestamp": "2026-01-31T12:00:00"}, "$.timestamp", "RFC 3339 with a time zone"),
        ({"timestamp": "2026-02-30T12:00:00Z"}, "$.timestamp", "no date and time of the calendar"),
        ({"timestamp": "2009-12-31T23:59:59Z"}, "$.timestamp", "before 2010-01-01"),
        ({"timestamp": "9999-01-01T00:00:00Z"}, "$.timestamp", "centuries ahead"),
        ({"timestamp": 1769860800000}, "$.timestamp", "not milliseconds"),
        ({"model": ""}, "$.model", "The model that was asked for."),
        ({"model": None}, "$.model", "The model that was asked for."),
        ({"input_tokens": "12"}, "$.input_tokens", "a whole number"),
        ({"input_tokens": 1.5}, "$.input_tokens", "a whole number"),
        ({"output_tokens": -1}, "$.output_tokens", "a whole number"),
        ({"streaming": 1}, "$.streaming", "Whether the answer was streamed."),
        ({"operation": "dance"}, "$.operation", "text_completion"),
        ({"trace_id": "xyz"}, "$.trace_id", "32 hexadecimal digits"),
        ({"span_id": "0" * 16}, "$.span_id", "not all 0"),
        ({"input_tokens": 5, "cached_input_tokens": 6}, "$.input_tokens", "The first includes the others"),
        ({"input_tokens": 9, "cached_input_tokens": 6, "cache_write_tokens": 4}, "$.input_tokens", "write_tokens 10."),
        ({"output_tokens": 1, "reasoning_tokens": 2}, "$.output_tokens", "Send all tokens in output_tokens"),
        ({"timestamp": "yesterday"}, "$.timestamp", '"yesterday" has not the form that is needed. When the call'),
        ({"input_token": 5}, "$", "'input_token' was unexpected"),
        ({"attributes": {"a": {"b": 1}}}, "$.attributes.a", "or an array of these"),
        ({"attributes": {"a": 2**63}}, "$.attributes.a", "64-bit"),
        ({"attributes": {"a": ["x", None]}}, "$.attributes.a[1]", "An array holds"),
        ({"user": "\ud800"}, "$", "unpaired surrogate"),
        ({"event": "llm_hub.feedback"}, "$", "was unexpected"),
        ({"cost": float("inf")}, "$.cost", "in USD"),
    ],
)
def test_what_is_wrong_is_told_with_its_path_and_the_remedy(wrong: dict[str, Any], path: str, text: str) -> None:
    converted = convert([{**CALL, **wrong}])
    (rejected,) = converted.rejected
    assert (rejected.index, rejected.path, converted.requests) == (0, path, {})
    assert text in rejected.message


@pytest.mark.parametrize("event", [5, None, "x", [], [CALL], {}, {"event": "x"}, {"timestamp": 1769860800}])
def test_what_is_no_event_is_rejected(event: Any) -> None:
    (rejected,) = convert([event]).rejected
    assert "/v1/events/schema" in rejected.message


def test_a_repeated_request_is_the_same_bytes_whatever_the_order_of_its_keys() -> None:
    batch = [{**CALL, "attributes": {"a": 1, "b": 2}}, FEEDBACK]
    again = [dict(reversed({**CALL, "attributes": {"b": 2, "a": 1}}.items())), FEEDBACK]
    assert convert(batch).requests == convert(again).requests


def test_equal_events_are_told_apart_by_their_id_and_within_a_request_by_their_place() -> None:
    ids = [span.span_id for span in spans(convert([CALL, CALL, {**CALL, "id": "2"}]).requests[Signal.TRACES])]
    assert len(set(ids)) == 3
    assert span_of(trace_id="ab" * 16, span_id="cd" * 8).span_id == b"\xcd" * 8


def test_calls_are_grouped_by_the_service_and_environment_that_made_them() -> None:
    origins = [{"service": "a", "environment": "prod"}, {"service": "b"}, {"service": "a", "environment": "prod"}, {}]
    body = convert([{**CALL, **origin} for origin in origins]).requests[Signal.TRACES]
    found = {
        tuple(values(resource.resource.attributes).values()): len(resource.scope_spans[0].spans)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
    }
    assert found == {("a", "prod"): 2, ("b",): 1, ("unknown_service",): 1}


def test_valid_events_are_submitted_and_the_others_told(
    url: str, recorder: Recorder, registry: CollectorRegistry
) -> None:
    answer = post(url, [CALL, {"model": 3}, FEEDBACK])
    assert answer.status_code == 200
    assert answer.json()["accepted"] == 2
    assert [(event["index"], event["path"]) for event in answer.json()["rejected"]] == [(1, "$")]
    assert [(signal, tenant) for signal, tenant, _ in recorder.submitted] == [
        (Signal.TRACES, "default"),
        (Signal.LOGS, "default"),
    ]
    assert registry.get_sample_value("llmhub_receivers_events_total", {"outcome": "accepted"}) == 2
    assert registry.get_sample_value("llmhub_receivers_events_total", {"outcome": "rejected"}) == 1


def test_one_event_a_line_with_a_broken_line_among_them(url: str, recorder: Recorder) -> None:
    body = json.dumps(CALL).encode() + b'\n\n{"model":\r\n' + json.dumps(FEEDBACK).encode() + b"\n"
    answer = post(url, gzip.compress(body), {**NDJSON, "Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["accepted"]) == (200, 2)
    assert [event["index"] for event in answer.json()["rejected"]] == [1]
    assert len(recorder.submitted) == 2


def test_a_single_object_is_one_event_and_no_event_is_fine(url: str, recorder: Recorder) -> None:
    assert post(url, CALL).json() == {"accepted": 1, "rejected": []}
    assert post(url, []).json() == {"accepted": 0, "rejected": []}
    assert len(recorder.submitted) == 1


def test_a_request_without_a_valid_event_is_a_bad_request_and_counted(url: str, recorder: Recorder) -> None:
    answer = post(url, [{"model": "x"}, 5])
    assert (answer.status_code, answer.json()["accepted"], len(answer.json()["rejected"])) == (400, 0, 2)
    assert recorder.submitted == []
    assert recorder.refusals == [("events", "bad_json")]


def test_what_the_store_rejects_is_told_as_well(url: str, recorder: Recorder) -> None:
    recorder.answer = Acknowledgement(1, "time is more than 24 h in the future")
    answer = post(url, [CALL, CALL])
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert answer.json()["rejected"] == [
        {"index": None, "path": "$", "message": "time is more than 24 h in the future", "records": 1}
    ]


@pytest.mark.parametrize(
    ("body", "headers", "code", "text"),
    [
        (b"{", JSON, 400, "not JSON"),
        (b"[NaN]", JSON, 400, "no JSON number"),
        (b"\xff", JSON, 400, "UTF-8"),
        (b"[" * 100_000, JSON, 400, "nests too deeply"),
        (b'{"model": ' + b"9" * 5000 + b"}", JSON, 400, "has 5000 digits. Send it as a text"),
        (b'{"duration_ms": 1e999}', JSON, 400, "The number 1e999 is too large"),
        (b'{"model": "a", "model": "b"}', JSON, 400, "'model' stands twice in one object"),
        (b" ", JSON, 400, "This is empty"),
        (b"{}\n{}\n", JSON, 400, "send Content-Type: application/x-ndjson"),
        (gzip.compress(b"{}", mtime=0), JSON, 400, "Send Content-Encoding: gzip"),
        (b"x" * 100_001, JSON, 413, "receivers.otlp_http.max_body_bytes"),
        (gzip.compress(b" " * 200_000, mtime=0), {**JSON, "Content-Encoding": "gzip"}, 413, "after decompression"),
        (b"{}", {}, 415, "application/x-ndjson"),
        (b"{}", {"Content-Type": "application/json; charset=latin-1"}, 415, "utf-8"),
        (b"{}", {**JSON, "Content-Encoding": "br"}, 415, "gzip"),
        (b"\n" * 20_000 + b"1", NDJSON, 413, "several requests"),
        (b"[" + b"1," * 10_000 + b"1]", JSON, 413, "several requests"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_the_remedy(
    url: str, recorder: Recorder, body: bytes, headers: dict[str, str], code: int, text: str
) -> None:
    answer = post(url, body, headers)
    assert answer.status_code == code
    assert text in answer.json()["message"]
    assert recorder.submitted == []
    assert [signal for signal, _ in recorder.refusals] == ["events"]


def test_no_more_requests_are_under_way_than_the_setting_allows(recorder: Recorder, loop: Loop) -> None:
    settings = replace(SETTINGS, max_concurrent_requests=1)
    routes = event_routes(recorder, settings, SingleTenant(), EventMetrics(CollectorRegistry()), IntakeBudget())
    recorder.delay = 1.0
    with serving(OtlpHttpReceiver(recorder, settings, routes=routes), loop) as address, ThreadPoolExecutor() as senders:
        url = f"http://{address}/v1/events"
        answers = list(senders.map(lambda _: post(url, CALL), range(3)))
        recorder.delay = 0.0
        assert post(url, CALL).status_code == 200
    assert sorted(answer.status_code for answer in answers) == [200, 429, 429]
    assert recorder.refusals == [("events", "no_room")] * 2


@pytest.mark.parametrize(
    ("error", "code", "retry"),
    [(Overloaded("full", 2.0), 429, "2"), (Unavailable("away", 1.0), 503, "1"), (InvalidRequest("no"), 400, None)],
)
def test_the_collectors_answer_is_the_senders(
    url: str, recorder: Recorder, error: Exception, code: int, retry: str | None
) -> None:
    recorder.failures = [error]
    answer = post(url, CALL)
    assert (answer.status_code, answer.headers.get("Retry-After")) == (code, retry)


def test_when_one_half_is_not_stored_the_whole_is_sent_again_and_is_the_same(url: str, recorder: Recorder) -> None:
    recorder.failures = [Overloaded("full", 1.0)]
    assert post(url, [CALL, FEEDBACK]).status_code == 429
    assert post(url, [CALL, FEEDBACK]).status_code == 200
    assert recorder.submitted[:2] == recorder.submitted[2:]


def test_the_schema_is_served_and_is_one(url: str) -> None:
    answer = requests.get(f"{url}/schema", timeout=10)
    assert answer.headers["content-type"] == "application/schema+json"
    jsonschema_rs.meta.validate(answer.json())
    assert answer.json() == SCHEMA


def test_another_method_is_refused_and_counted(url: str, recorder: Recorder) -> None:
    assert requests.get(url, timeout=10).status_code == 405
    assert recorder.refusals == [("events", "method_not_allowed")]


def test_every_field_has_a_description_for_who_got_it_wrong() -> None:
    for kind in ("call", "event"):
        for name, rule in SCHEMA["$defs"][kind]["properties"].items():
            rule = SCHEMA["$defs"][rule["$ref"].rpartition("/")[2]] if "$ref" in rule else rule
            assert rule["description"].endswith("."), name


KEYS = sorted({*SCHEMA["$defs"]["call"]["properties"], *SCHEMA["$defs"]["event"]["properties"]})
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(0, 2_000_000_000), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8),
    st.sampled_from(["2026-01-31T12:00:00Z", "gpt-4o", "chat", "high", "ab" * 16, "cd" * 8, "\ud800", "9999-12-31T23:59:59-23:59"]),
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
NEAR = st.builds(
    lambda base, extra: {**base, **extra},
    st.sampled_from([CALL, FEEDBACK]),
    st.dictionaries(st.sampled_from(KEYS), ANYTHING, max_size=4),
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(NEAR | ANYTHING, max_size=4))
def test_any_json_is_accepted_or_told_and_never_an_error_of_the_hub(url: str, recorder: Recorder, batch: Any) -> None:
    recorder.submitted.clear()
    answer = post(url, [CALL, *batch])
    assert answer.status_code == 200
    told = answer.json()
    assert told["accepted"] + len(told["rejected"]) == 1 + len(batch)
    assert all(event["index"] > 0 and event["path"].startswith("$") and event["message"] for event in told["rejected"])
    logs = [ExportLogsServiceRequest.FromString(b) for signal, _, b in recorder.submitted if signal is Signal.LOGS]
    stored = sum(len(spans(b)) for signal, _, b in recorder.submitted if signal is Signal.TRACES)
    stored += sum(len(resource.scope_logs[0].log_records) for request in logs for resource in request.resource_logs)
    assert stored == told["accepted"]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=60), st.sampled_from([JSON, NDJSON]))
def test_any_bytes_get_an_answer_that_is_not_an_error_of_the_hub(
    url: str, body: bytes, headers: dict[str, str]
) -> None:
    assert post(url, body, headers).status_code < 500
