"""What cannot be counted or priced is seen, with a trace to look at and the line that would change it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client import CollectorRegistry

from collector.envelope import wrap
from collector.gaps import MOST_SERIES, OTHERS, Gaps
from collector.metrics import CollectorMetrics
from collector.signals import Signal
from storage.embedded import EmbeddedStore
from tests.collector.direct import store_whole
from tests.collector.requests import call, logs, span, traces

NOW = 1_900_000_000_000_000_000


@pytest.fixture
def tenant() -> str:
    return f"gaps-{uuid.uuid4().hex[:8]}"


def send(store: EmbeddedStore, tenant: str, request: Any, signal: Signal = Signal.TRACES) -> None:
    store_whole(
        store, [wrap(signal, tenant, request.SerializeToString(), request_id=uuid.uuid4().int >> 80, received_ns=NOW)]
    )


def gaps(store: EmbeddedStore, tenant: str) -> list[dict[str, Any]]:
    return store.rows(
        "SELECT * FROM llm_gaps WHERE tenant = {t:String} ORDER BY gap, span_name, model", params={"t": tenant}
    )


def without(made: Span, *keys: str) -> Span:
    kept = [each for each in made.attributes if each.key not in keys]
    del made.attributes[:]
    made.attributes.extend(kept)
    return made


USAGE = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
MODEL = ("gen_ai.request.model", "gen_ai.response.model")


def test_a_model_without_a_price_is_a_gap_with_the_command_that_sets_one(llm_store: EmbeddedStore, tenant: str) -> None:
    spans = [call(request__model="house-7b", response__model="house-7b", response__id=str(n)) for n in range(3)]
    send(llm_store, tenant, traces(*spans, call(response__id="priced"), service="shop"))
    (row,) = gaps(llm_store, tenant)
    assert (row["gap"], row["service"], row["provider"], row["model"]) == ("no_price", "shop", "openai", "house-7b")
    assert (row["calls"], row["tokens"]) == (3, 3 * 162)
    assert row["sample_trace_id"] in {each.trace_id.hex() for each in spans}
    assert row["fix"] == "llmhub prices override --provider openai --model house-7b --input USD --output USD"


def test_what_a_sender_says_does_not_get_into_the_command(llm_store: EmbeddedStore, tenant: str) -> None:
    send(llm_store, tenant, traces(call(request__model="x; reboot", response__model="x; reboot")))
    (row,) = gaps(llm_store, tenant)
    assert row["model"] == "x; reboot"
    assert "--model x??reboot --input" in row["fix"]


def test_a_call_without_a_model_is_a_gap(llm_store: EmbeddedStore, tenant: str) -> None:
    told = without(call(response__id="1"), *MODEL)
    told.attributes.add(key="acme.model_name").value.string_value = "gpt-4o"
    send(llm_store, tenant, traces(told))
    (row,) = gaps(llm_store, tenant)
    assert (row["gap"], row["fix"]) == ("no_model", "storage.aliases: [{slot: request_model, key: acme.model_name}]")


def test_a_successful_call_without_tokens_is_a_gap(llm_store: EmbeddedStore, tenant: str) -> None:
    counted = without(call(response__id="1"), *USAGE)
    counted.name = "a"
    counted.attributes.add(key="acme.prompt_tokens").value.int_value = 7
    counted.attributes.add(key="acme.completion_tokens").value.int_value = 7
    stream = without(call(response__id="2", request__stream=True), *USAGE)
    stream.name = "b"
    failed = without(call(response__id="3"), *USAGE)
    failed.attributes.add(key="error.type").value.string_value = "timeout"
    send(llm_store, tenant, traces(counted, stream, failed))
    first, second = gaps(llm_store, tenant)
    assert (first["gap"], second["gap"]) == ("no_usage", "no_usage")
    assert (
        first["fix"]
        == "storage.aliases: [{slot: input_tokens, key: acme.prompt_tokens}, {slot: output_tokens, key: acme.completion_tokens}]"
    )
    assert "include_usage" in second["fix"]


def test_a_span_that_looks_like_a_call_and_matches_no_dialect_is_counted(llm_store: EmbeddedStore, tenant: str) -> None:
    acme = {"acme.llm.model": "m", "acme.llm.prompt_tokens": 5, "acme.llm.completion_tokens": 6}
    one, two = span(acme, name="ask 4711"), span(acme, name="ask 4712")
    odd = span({"gen_ai.operation.name": "Summarise", "gen_ai.request.model": "m"}, name="odd")
    vague = span({"llm": "yes"}, name="vague")
    send(llm_store, tenant, traces(one, odd, vague, span({"http.route": "/"}), scope="acme"))
    send(llm_store, tenant, traces(two, scope="acme"))
    asked, other, last = gaps(llm_store, tenant)
    assert (asked["gap"], asked["span_name"], asked["scope"], asked["calls"]) == ("unmapped", "ask *", "acme", 2)
    assert asked["sample_trace_id"] in (one.trace_id.hex(), two.trace_id.hex())
    assert (
        asked["fix"]
        == "storage.aliases: [{slot: input_tokens, key: acme.llm.prompt_tokens}, {slot: output_tokens, key: acme.llm.completion_tokens}]"
    )
    assert other["fix"] == "storage.operations: [{value: summarise, role: llm, operation: chat}]"
    assert last["fix"] == "set gen_ai.operation.name on the span"


def test_the_operation_of_a_gap_is_read_where_normalising_looks_for_it(llm_store: EmbeddedStore, tenant: str) -> None:
    send(llm_store, tenant, traces(span({"langsmith.span.kind": "rewriter", "gen_ai.request.model": "m"}, name="odd")))
    (gap,) = gaps(llm_store, tenant)
    assert gap["fix"] == "storage.operations: [{value: rewriter, role: llm, operation: chat}]"


def test_a_log_record_that_reports_a_call_without_a_model_is_counted(llm_store: EmbeddedStore, tenant: str) -> None:
    send(llm_store, tenant, logs("", {"event.name": "api_request", "tokens": 5}), Signal.LOGS)
    (row,) = gaps(llm_store, tenant)
    assert (row["gap"], row["span_name"], row["calls"]) == ("unmapped", "api_request", 1)


def test_the_metric_has_the_largest_and_one_for_the_others(llm_store: EmbeddedStore, tenant: str) -> None:
    spans = [
        call(request__model=f"{tenant}-{model}", response__model=f"{tenant}-{model}", response__id=f"{model}-{n}")
        for model in range(MOST_SERIES + 5)
        for n in range(model + 1)
    ]
    send(llm_store, tenant, traces(*spans, service=tenant))
    registry = CollectorRegistry()
    found = Gaps(llm_store, CollectorMetrics(registry))
    found.measure()
    found.measure()
    samples = [
        sample for family in registry.collect() if family.name == "llmhub_gaps_calls" for sample in family.samples
    ]
    unpriced = {(s.labels["service"], s.labels["model"]): s.value for s in samples if s.labels["gap"] == "no_price"}
    assert len(unpriced) == MOST_SERIES + 1
    assert unpriced[tenant, f"{tenant}-{MOST_SERIES + 4}"] == MOST_SERIES + 5
    (total,) = llm_store.rows("SELECT sum(calls) AS n FROM llm_gaps WHERE gap = 'no_price' AND day >= today() - 1")
    assert sum(unpriced.values()) == total["n"]
    assert (OTHERS, OTHERS) in unpriced
