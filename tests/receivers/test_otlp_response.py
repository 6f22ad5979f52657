from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, RetryInfo  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector.errors import HubError, InvalidRequest, Overloaded, Unavailable
from collector.pipeline import Acknowledgement, Signal
from receivers.intake import Refusal, Refused
from receivers.otlp_response import JSON, PROTOBUF, failure, is_expected, success

RESPONSES: list[tuple[Signal, type[Message], str]] = [
    (Signal.TRACES, ExportTraceServiceResponse, "rejected_spans"),
    (Signal.LOGS, ExportLogsServiceResponse, "rejected_log_records"),
    (Signal.METRICS, ExportMetricsServiceResponse, "rejected_data_points"),
]
CODE = grpc.StatusCode


@pytest.mark.parametrize(("signal", "kind", "field"), RESPONSES)
def test_partial_success_is_unset_when_everything_was_stored(signal: Signal, kind: type[Message], field: str) -> None:
    response = kind()
    response.ParseFromString(success(signal, Acknowledgement(0, "")))
    assert not response.HasField("partial_success")
    assert json.loads(success(signal, Acknowledgement(0, ""), JSON)) == {}


@pytest.mark.parametrize(("signal", "kind", "field"), RESPONSES)
def test_rejected_records_are_counted_with_their_reason(signal: Signal, kind: type[Message], field: str) -> None:
    response: Any = kind()
    response.ParseFromString(success(signal, Acknowledgement(3, "ids of 5 bytes")))
    assert getattr(response.partial_success, field) == 3
    assert response.partial_success.error_message == "ids of 5 bytes"


def test_partial_success_in_json_has_lower_camel_case_names() -> None:
    body = success(Signal.LOGS, Acknowledgement(3, "why"), JSON)
    assert json.loads(body) == {"partialSuccess": {"rejectedLogRecords": "3", "errorMessage": "why"}}


def test_a_warning_without_rejected_records_is_a_partial_success() -> None:
    response = ExportTraceServiceResponse()
    response.ParseFromString(success(Signal.TRACES, Acknowledgement(0, "old schema")))
    assert response.partial_success.error_message == "old schema"


@pytest.mark.parametrize(
    ("error", "grpc_code", "http_code", "retry_after"),
    [
        (InvalidRequest("bad"), CODE.INVALID_ARGUMENT, 400, None),
        (Overloaded("full", 2.5), CODE.RESOURCE_EXHAUSTED, 429, 2.5),
        (Unavailable("away", 10), CODE.UNAVAILABLE, 503, 10),
        (Refused(Refusal.TOO_LARGE, "large"), CODE.INVALID_ARGUMENT, 413, None),
        (HubError("unclassified"), CODE.UNAVAILABLE, 503, 5),
        (ZeroDivisionError("a defect"), CODE.UNAVAILABLE, 503, 5),
    ],
)
def test_each_failure_has_its_codes_and_what_is_not_known_is_retryable(
    error: Exception, grpc_code: grpc.StatusCode, http_code: int, retry_after: float | None
) -> None:
    got = failure(error)
    assert (got.grpc_code, got.http_code, got.retry_after) == (grpc_code, http_code, retry_after)
    assert got.status.code == grpc_code.value[0]


@pytest.mark.parametrize("reason", list(Refusal))
def test_every_refusal_has_codes(reason: Refusal) -> None:
    assert failure(Refused(reason, "why")).status.message == "why"


def test_a_subclass_of_a_known_error_has_its_codes() -> None:
    class Poison(InvalidRequest):
        pass

    assert failure(Poison("bad")).http_code == 400


def test_a_defect_of_the_hub_is_not_shown_to_the_sender() -> None:
    got = failure(KeyError("secret"))
    assert "secret" not in got.status.message
    assert not is_expected(KeyError("secret"))


def test_a_retryable_failure_says_when_in_both_transports() -> None:
    got = failure(Overloaded("full", 2.5))
    info = RetryInfo()
    assert got.status.details[0].Unpack(info)
    assert info.retry_delay.ToMilliseconds() == 2500
    assert got.http_headers() == {"Retry-After": "3"}
    assert dict(got.grpc_metadata())["google.rpc.retryinfo-bin"] == info.SerializeToString()


def test_bad_data_is_described_in_a_bad_request() -> None:
    violation = BadRequest()
    assert failure(Refused(Refusal.BAD_JSON, "$.a: wrong", field="$.a")).status.details[0].Unpack(violation)
    assert [(v.field, v.description) for v in violation.field_violations] == [("$.a", "$.a: wrong")]


def test_media_types_are_those_of_the_specification() -> None:
    assert (PROTOBUF, JSON) == ("application/x-protobuf", "application/json")
