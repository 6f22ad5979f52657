"""The collector cuts out of a request what the views have rejected: exactly that, whatever it is."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.assembly import Collector
from collector.pipeline import Signal
from collector.rejects import rejected_part
from collector.signals import REQUESTS
from storage.embedded import EmbeddedStore
from storage.schema import MAX_FUTURE_NANOSECONDS, MIN_TIME_UNIX_NANO
from tests.collector.conftest import WithCollector
from tests.collector.requests import SECOND, gauge, logs, span, traces

TIMES = st.sampled_from(
    [
        *(0, 1, MIN_TIME_UNIX_NANO - 1, MIN_TIME_UNIX_NANO, -SECOND, 2**64 - 1),
        *(MAX_FUTURE_NANOSECONDS - 600 * SECOND, MAX_FUTURE_NANOSECONDS + 600 * SECOND),
    ]
)
IDS = st.sampled_from(
    [b"", b"short", bytes(8), bytes(16), b"8 bytes.", b"16 bytes of text", b"more than 16 bytes of text"]
)


def absolute(value: Any) -> Any:
    """A time near now is drawn as its offset from now; what is no time stays as it is."""
    if not isinstance(value, int) or value in (0, 1) or not -SECOND <= value <= MAX_FUTURE_NANOSECONDS + 600 * SECOND:
        return value
    return time.time_ns() + value


SPANS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"trace_id": IDS, "span_id": IDS, "parent_span_id": IDS, "start_time_unix_nano": TIMES, "end_time_unix_nano": TIMES}
)
LOGS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"trace_id": IDS, "span_id": IDS, "time_unix_nano": TIMES, "observed_time_unix_nano": TIMES}
)


def rejected(
    with_collector: WithCollector, store: EmbeddedStore, tenant: str, signal: Signal, body: bytes
) -> tuple[int, Any]:
    """How many records the views have rejected, and the request that the collector has kept of them."""

    async def use(collector: Collector) -> tuple[int, Any]:
        acknowledgement = await collector.pipeline.submit(signal, tenant, body)
        letters = await asyncio.to_thread(collector.dead_letters.newest)
        mine = [row["request_id"] for row in letters if row["tenant"] == tenant]
        letter = await asyncio.to_thread(collector.dead_letters.get, mine[0]) if mine else None
        return acknowledgement.rejected, letter and REQUESTS[signal].FromString(letter.body)

    found: tuple[int, Any] = with_collector(use)
    return found


ANY = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@ANY
@given(drawn=st.lists(SPANS, min_size=1, max_size=30), number=st.integers(0, 2**60))
def test_spans(
    with_collector: WithCollector, llm_store: EmbeddedStore, drawn: list[dict[str, Any]], number: int
) -> None:
    tenant = f"rejects-{number}-{time.time_ns()}"
    made = [span(name="good, so that the request is one of spans")]
    made += [
        span(name=f"s{place}", **{key: absolute(value) for key, value in fields.items()})
        for place, fields in enumerate(drawn)
    ]
    count, kept = rejected(with_collector, llm_store, tenant, Signal.TRACES, traces(*made).SerializeToString())
    names = {s.name for r in kept.resource_spans for c in r.scope_spans for s in c.spans} if kept else set()
    rows = llm_store.rows("SELECT record FROM rejected_records WHERE tenant = {t:String}", params={"t": tenant})
    assert names == {json.loads(row["record"])["SpanName"] for row in rows}
    assert len(names) == count


@ANY
@given(drawn=LOGS, number=st.integers(0, 2**60))
def test_log_records(
    with_collector: WithCollector, llm_store: EmbeddedStore, drawn: dict[str, Any], number: int
) -> None:
    tenant = f"rejects-{number}-{time.time_ns()}"
    fields: dict[str, Any] = {key: absolute(value) for key, value in drawn.items()}
    count, kept = rejected(with_collector, llm_store, tenant, Signal.LOGS, logs("x", **fields).SerializeToString())
    assert (kept is not None) == bool(count)
    assert not kept or len(kept.resource_logs[0].scope_logs[0].log_records) == count


@ANY
@given(offset=TIMES, number=st.integers(0, 2**60))
def test_metric_points(with_collector: WithCollector, llm_store: EmbeddedStore, offset: int, number: int) -> None:
    tenant = f"rejects-{number}-{time.time_ns()}"
    request = gauge("g", 1.0)
    points = request.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points
    points.add(time_unix_nano=absolute(offset), as_double=2.0)
    count, kept = rejected(with_collector, llm_store, tenant, Signal.METRICS, request.SerializeToString())
    assert (kept is not None) == bool(count)
    assert not kept or [
        p.as_double for p in kept.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points
    ] == [2.0]


def test_resource_and_scope_of_what_is_kept_stay_with_it_and_others_go() -> None:
    request = traces(span(), span(name="bad", span_id=b"x"), service="one")
    request.MergeFrom(traces(span(), service="two"))
    part = ExportTraceServiceRequest.FromString(
        rejected_part(Signal.TRACES, request.SerializeToString(), time.time_ns())
    )
    (resource,) = part.resource_spans
    assert resource.resource.attributes[0].value.string_value == "one"
    assert resource.scope_spans[0].scope.name == "tests"
    assert [each.name for each in resource.scope_spans[0].spans] == ["bad"]


@pytest.mark.parametrize("signal", list(Signal))
def test_of_a_good_request_nothing_is_left(signal: Signal) -> None:
    bodies = {Signal.TRACES: traces(span()), Signal.LOGS: logs("x"), Signal.METRICS: gauge("g", 1.0)}
    assert rejected_part(signal, bodies[signal].SerializeToString(), time.time_ns()) == b""
