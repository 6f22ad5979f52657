"""The way of a request: framed, batched, stored, acknowledged; and what happens to bad ones and their neighbours."""

from __future__ import annotations

import asyncio
import gc
import time
import uuid
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from collector.breaker import Breaker
from collector.dead_letters import DeadLetters
from collector.envelope import wrap
from collector.errors import DeadLettered, HubError, InvalidRequest, Overloaded, Unavailable
from collector.metrics import CollectorMetrics
from collector.pipeline import Acknowledgement, Pipeline, Signal
from collector.protobuf import len_prefix
from collector.settings import PipelineSettings
from collector.spool import Cipher
from collector.writer import Writer
from storage.embedded import EmbeddedStore
from storage.store import StoreError
from tests.collector.conftest import FAST, WithPipeline
from tests.collector.flaky import SHORT_OF_MEMORY, FlakyStore
from tests.collector.requests import SECOND, call, gauge, logs, span, traces


def count(store: EmbeddedStore, table: str, tenant: str) -> int:
    column = "Tenant" if table.startswith("otel_") else "tenant"
    return int(
        store.rows(f"SELECT count() AS n FROM {table} WHERE {column} = {{t:String}}", params={"t": tenant})[0]["n"]
    )


def with_a_cut_span() -> bytes:
    """A request that is framed well, down to its second span, which has lost its end."""
    whole = span().SerializeToString()
    scope = b"".join(len_prefix(2, len(part)) + part for part in (whole, whole[:-3]))
    resource = len_prefix(2, len(scope)) + scope
    return len_prefix(1, len(resource)) + resource


def test_an_acknowledged_request_is_in_the_store(
    with_pipeline: WithPipeline, llm_store: EmbeddedStore, tenant: str
) -> None:
    async def use(pipeline: Pipeline) -> int:
        await pipeline.submit(Signal.TRACES, tenant, traces(call()).SerializeToString())
        return count(llm_store, "otel_traces", tenant)

    assert with_pipeline(use) == 1
    assert count(llm_store, "llm_calls", tenant) == 1
    assert count(llm_store, "llm_calls_1m", tenant) == 1


def test_every_signal_reaches_its_table(with_pipeline: WithPipeline, llm_store: EmbeddedStore, tenant: str) -> None:
    async def use(pipeline: Pipeline) -> None:
        await asyncio.gather(
            pipeline.submit(Signal.LOGS, tenant, logs("hello").SerializeToString()),
            pipeline.submit(Signal.METRICS, tenant, gauge("queue.length", 3.5).SerializeToString()),
        )

    with_pipeline(use)
    assert count(llm_store, "otel_logs", tenant) == 1
    rows = llm_store.rows(
        "SELECT MetricName, Value FROM otel_metrics_gauge WHERE Tenant = {t:String}", params={"t": tenant}
    )
    assert rows == [{"MetricName": "queue.length", "Value": 3.5}]


def test_an_empty_request_is_acknowledged_at_once(with_pipeline: WithPipeline, tenant: str) -> None:
    slow = PipelineSettings(flush_seconds=60)
    assert with_pipeline(lambda p: p.submit(Signal.TRACES, tenant, b""), slow) == Acknowledgement()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"trace_id": b"short"}, "trace_id is not 16 non-zero bytes"),
        ({"trace_id": bytes(16)}, "trace_id is not 16 non-zero bytes"),
        ({"span_id": b"123456789"}, "span_id is not 8 non-zero bytes"),
        ({"parent_span_id": b"1"}, "parent_span_id is neither empty nor 8 bytes"),
        ({"start_time_unix_nano": 0}, "start_time_unix_nano is before 2010-01-01"),
        ({"start_time_unix_nano": 2**64 - 1}, "start or end time is more than 24 h in the future"),
        ({"end_time_unix_nano": 2**64 - 1}, "start or end time is more than 24 h in the future"),
    ],
)
def test_a_bad_span_is_a_dead_letter_and_its_neighbours_are_stored(
    with_pipeline: WithPipeline, llm_store: EmbeddedStore, tenant: str, fields: dict[str, Any], reason: str
) -> None:
    body = traces(span(), span(**fields), span()).SerializeToString()
    assert with_pipeline(lambda p: p.submit(Signal.TRACES, tenant, body)) == Acknowledgement(1, reason)
    assert count(llm_store, "otel_traces", tenant) == 2
    assert count(llm_store, "rejected_records", tenant) == 1


def test_bad_log_records_and_metric_points_are_told_apart_from_good_ones(
    with_pipeline: WithPipeline, llm_store: EmbeddedStore, tenant: str
) -> None:
    bad_log = logs("x", trace_id=b"short").SerializeToString()
    bad_point = gauge("g", 1.0, time_unix_nano=1).SerializeToString()

    async def use(pipeline: Pipeline) -> list[Acknowledgement]:
        return [
            await pipeline.submit(Signal.LOGS, tenant, bad_log),
            await pipeline.submit(Signal.METRICS, tenant, bad_point),
        ]

    assert with_pipeline(use) == [
        Acknowledgement(1, "trace_id is neither empty nor 16 bytes"),
        Acknowledgement(1, "time_unix_nano is before 2010-01-01"),
    ]
    assert count(llm_store, "rejected_records", tenant) == 2


def test_a_span_that_ends_before_it_starts_took_no_time(
    with_pipeline: WithPipeline, llm_store: EmbeddedStore, tenant: str
) -> None:
    backwards = span()
    backwards.end_time_unix_nano = backwards.start_time_unix_nano - SECOND
    with_pipeline(lambda p: p.submit(Signal.TRACES, tenant, traces(backwards).SerializeToString()))
    rows = llm_store.rows("SELECT Duration FROM otel_traces WHERE Tenant = {t:String}", params={"t": tenant})
    assert rows == [{"Duration": 0}]


def test_a_malformed_request_is_named_and_the_rest_of_its_batch_is_stored(
    with_pipeline: WithPipeline, llm_store: EmbeddedStore, tenant: str
) -> None:
    good = [traces(span()).SerializeToString() for _ in range(6)]
    poison = with_a_cut_span()

    async def use(pipeline: Pipeline) -> list[Acknowledgement | BaseException]:
        bodies = [*good[:3], poison, *good[3:]]
        return await asyncio.gather(
            *(pipeline.submit(Signal.TRACES, tenant, body) for body in bodies), return_exceptions=True
        )

    outcomes = with_pipeline(use)
    assert outcomes[:3] + outcomes[4:] == [Acknowledgement()] * 6
    assert isinstance(outcomes[3], InvalidRequest)
    assert "resource_spans[0].scope_spans[0].spans[1]: byte" in str(outcomes[3])
    assert count(llm_store, "otel_traces", tenant) == 6


def errors_in_memory() -> list[BaseException]:
    return [each for each in gc.get_objects() if isinstance(each, HubError | StoreError) and each.__traceback__]


def test_a_refused_request_is_not_kept_for_the_garbage_collector(with_pipeline: WithPipeline, tenant: str) -> None:
    """Or a flood of them would stay in memory, bodies and all, until it comes."""

    async def use(pipeline: Pipeline) -> list[BaseException]:
        gc.collect()
        gc.disable()
        try:
            of_others = errors_in_memory()
            with suppress(InvalidRequest):
                await pipeline.submit(Signal.TRACES, tenant, with_a_cut_span())
            await pipeline.flush()
            return [each for each in errors_in_memory() if not any(each is other for other in of_others)]
        finally:
            gc.enable()

    assert with_pipeline(use) == []


def test_a_sender_of_nothing_but_malformed_requests_costs_one_insert_more(
    llm_store: EmbeddedStore, tenant: str
) -> None:
    store = FlakyStore(llm_store)
    writer = Writer(store, Breaker(), DeadLetters(store, Cipher(bytes(32))), CollectorMetrics(CollectorRegistry()))
    bodies = [with_a_cut_span()] * 30 + [traces(span()).SerializeToString()]
    first, now = uuid.uuid4().int >> 80, time.time_ns()
    written = writer.write(
        [wrap(Signal.TRACES, tenant, body, request_id=first + n, received_ns=now) for n, body in enumerate(bodies)]
    )
    assert [type(written.outcomes[first + n]) for n in range(31)] == [DeadLettered] * 30 + [Acknowledgement]
    assert store.inserts == ["otlp_traces", "otlp_traces"]
    assert count(llm_store, "otel_traces", tenant) == 1


@pytest.mark.parametrize("signal", list(Signal))
def test_a_request_for_another_signal_is_told_where_it_belongs(
    with_pipeline: WithPipeline, tenant: str, signal: Signal
) -> None:
    bodies = {Signal.TRACES: traces(span()), Signal.LOGS: logs("x"), Signal.METRICS: gauge("g", 1.0)}
    for other, request in bodies.items():
        if other != signal:
            with pytest.raises(InvalidRequest, match=f"This is a {other} request"):
                with_pipeline(lambda p, r=request: p.submit(signal, tenant, r.SerializeToString()))


@pytest.mark.parametrize("trace_id", [b"", b"\xab", b"ab", b"sixteen letters."], ids=repr)
def test_a_span_without_times_is_a_bad_span_and_no_metric(
    with_pipeline: WithPipeline, tenant: str, trace_id: bytes
) -> None:
    bare = span({"http.method": "GET"}, name="short", trace_id=trace_id)
    bare.ClearField("start_time_unix_nano")
    bare.ClearField("end_time_unix_nano")
    outcome = with_pipeline(lambda p: p.submit(Signal.TRACES, tenant, traces(bare).SerializeToString()))
    assert outcome.rejected == 1


def test_ten_thousand_attributes_on_a_span_are_stored(
    with_pipeline: WithPipeline, llm_store: EmbeddedStore, tenant: str
) -> None:
    wide = span({f"key.{number}": number for number in range(10_000)})
    assert (
        with_pipeline(lambda p: p.submit(Signal.TRACES, tenant, traces(wide).SerializeToString())) == Acknowledgement()
    )
    rows = llm_store.rows(
        "SELECT length(SpanAttributes) AS n FROM otel_traces WHERE Tenant = {t:String}", params={"t": tenant}
    )
    assert rows == [{"n": 10_000}]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 250), st.integers(0, 255)), min_size=5, max_size=10))
def test_requests_with_a_changed_byte_are_stored_or_refused_and_harm_nobody(
    with_pipeline: WithPipeline, llm_store: EmbeddedStore, changes: list[tuple[int, int]]
) -> None:
    def body(position: int, value: int) -> bytes:
        made = bytearray(traces(span({"a": "b", "n": 1})).SerializeToString())
        made[position % len(made)] = value
        return bytes(made)

    async def use(pipeline: Pipeline) -> Acknowledgement:
        changed = [
            asyncio.ensure_future(pipeline.submit(Signal.TRACES, "changed", body(*change))) for change in changes
        ]
        neighbour = await pipeline.submit(Signal.TRACES, "neighbour", traces(span()).SerializeToString())
        await asyncio.wait(changed)
        assert all(
            error is None or isinstance(error, InvalidRequest) for error in map(asyncio.Future.exception, changed)
        )
        return neighbour

    assert with_pipeline(use) == Acknowledgement()


def test_above_the_pending_limit_the_sender_is_told_to_come_back(with_pipeline: WithPipeline, tenant: str) -> None:
    first_body, body = (traces(span({"filler": "x" * 1000})).SerializeToString() for _ in range(2))
    small = PipelineSettings(flush_seconds=0.2, max_pending_bytes=1500)

    async def use(pipeline: Pipeline) -> Overloaded:
        first = asyncio.ensure_future(pipeline.submit(Signal.TRACES, tenant, first_body))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match=r"collector\.max_pending_bytes") as raised:
            await pipeline.submit(Signal.TRACES, tenant, body)
        assert await first == Acknowledgement()
        await pipeline.flush()
        assert await pipeline.submit(Signal.TRACES, tenant, body) == Acknowledgement()
        return raised.value

    assert with_pipeline(use, small).retry_after > 0


def test_a_sender_that_goes_away_leaves_nothing_pending(
    with_pipeline: WithPipeline, registry: CollectorRegistry, tenant: str
) -> None:
    async def use(pipeline: Pipeline) -> None:
        gone = asyncio.ensure_future(pipeline.submit(Signal.TRACES, tenant, traces(span()).SerializeToString()))
        await asyncio.sleep(0)
        gone.cancel()
        await pipeline.flush()

    with_pipeline(use)
    assert registry.get_sample_value("llmhub_collector_pending_bytes") == 0
    labels = {"signal": "traces", "outcome": "cancelled"}
    assert registry.get_sample_value("llmhub_collector_requests_total", labels) == 1


def test_closing_stores_what_was_taken_and_refuses_what_comes_after(
    with_pipeline: WithPipeline, llm_store: EmbeddedStore, tenant: str
) -> None:
    async def use(pipeline: Pipeline) -> None:
        waiting = asyncio.ensure_future(pipeline.submit(Signal.TRACES, tenant, traces(span()).SerializeToString()))
        await asyncio.sleep(0)
        await pipeline.close()
        assert await waiting == Acknowledgement()
        with pytest.raises(Unavailable):
            await pipeline.submit(Signal.TRACES, tenant, traces(span()).SerializeToString())

    with_pipeline(use, PipelineSettings(flush_seconds=60))
    assert count(llm_store, "otel_traces", tenant) == 1


def test_while_the_store_is_busy_requests_gather_into_one_batch(
    with_pipeline: WithPipeline, llm_store: EmbeddedStore, tenant: str
) -> None:
    slow = FlakyStore(llm_store, hangs=True)

    async def use(pipeline: Pipeline) -> None:
        first = asyncio.ensure_future(pipeline.submit(Signal.TRACES, tenant, traces(span()).SerializeToString()))
        await asyncio.sleep(0.1)
        later = [
            asyncio.ensure_future(pipeline.submit(Signal.TRACES, tenant, traces(span()).SerializeToString()))
            for _ in range(5)
        ]
        await asyncio.sleep(0.1)
        slow.gate.set()
        await asyncio.gather(first, *later)

    with_pipeline(use, PipelineSettings(flush_seconds=0.02, concurrent_inserts=1), slow)
    assert slow.inserts == ["otlp_traces", "otlp_traces"]


def test_a_small_batch_waits_for_the_insert_before_it_and_then_as_long_as_that_took(
    with_pipeline: WithPipeline, llm_store: EmbeddedStore, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.pipeline._MAX_PACE_SECONDS", 60.0)
    slow = FlakyStore(llm_store, hangs=True)

    async def use(pipeline: Pipeline) -> float:
        def submit() -> asyncio.Future[Acknowledgement]:
            return asyncio.ensure_future(pipeline.submit(Signal.TRACES, tenant, traces(span()).SerializeToString()))

        first = submit()
        while not slow.begun:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        second = submit()
        await asyncio.sleep(0.1)
        assert slow.begun == 1, "though another insert could run beside it"
        slow.gate.set()
        await first
        ended = time.monotonic()
        await second
        return time.monotonic() - ended

    assert with_pipeline(use, store=slow) > 0.3
    assert slow.inserts == ["otlp_traces", "otlp_traces"]


def test_a_small_batch_does_not_wait_for_an_insert_that_hangs(
    with_pipeline: WithPipeline, llm_store: EmbeddedStore, tenant: str
) -> None:
    slow = FlakyStore(llm_store, hangs=True)

    async def use(pipeline: Pipeline) -> None:
        sent = []
        for number in (1, 2):
            body = traces(span()).SerializeToString()
            sent.append(asyncio.ensure_future(pipeline.submit(Signal.TRACES, tenant, body)))
            async with asyncio.timeout(10):
                while slow.begun < number:
                    await asyncio.sleep(0.01)
        slow.gate.set()
        await asyncio.gather(*sent)

    with_pipeline(use, store=slow)


def test_requests_are_counted_by_outcome(with_pipeline: WithPipeline, registry: CollectorRegistry, tenant: str) -> None:
    async def use(pipeline: Pipeline) -> None:
        await pipeline.submit(Signal.TRACES, tenant, traces(span()).SerializeToString())
        await pipeline.submit(Signal.TRACES, tenant, traces(span(trace_id=b"x")).SerializeToString())
        with pytest.raises(InvalidRequest):
            await pipeline.submit(Signal.TRACES, tenant, b"\xff")
        pipeline.refused(Signal.TRACES, "too_large")

    with_pipeline(use)

    def value(outcome: str) -> float | None:
        labels = {"signal": "traces", "outcome": outcome}
        return registry.get_sample_value("llmhub_collector_requests_total", labels)

    assert [value("stored"), value("partial"), value("invalid")] == [1, 1, 1]
    assert registry.get_sample_value("llmhub_collector_refused_total", {"signal": "traces", "reason": "too_large"}) == 1
    assert registry.get_sample_value("llmhub_collector_rejected_records_total", {"signal": "traces"}) == 1


def test_a_request_nested_without_end_is_refused_and_its_neighbour_is_stored(
    with_pipeline: WithPipeline, llm_store: EmbeddedStore, tenant: str
) -> None:
    value = b""
    for _ in range(1500):  # AnyValue.array_value.values[0], again and again
        value = len_prefix(1, len(value)) + value
        value = len_prefix(5, len(value)) + value
    attribute = len_prefix(1, 1) + b"k" + len_prefix(2, len(value)) + value
    deep = span().SerializeToString() + len_prefix(9, len(attribute)) + attribute
    scope = b"".join(len_prefix(2, len(part)) + part for part in (deep, span().SerializeToString()[:-3]))
    resource = len_prefix(2, len(scope)) + scope

    async def use(pipeline: Pipeline) -> list[Acknowledgement | BaseException]:
        bodies = [len_prefix(1, len(resource)) + resource, traces(span()).SerializeToString()]
        submitted = [pipeline.submit(Signal.TRACES, tenant, body) for body in bodies]
        return await asyncio.gather(*submitted, return_exceptions=True)

    refused, stored = with_pipeline(use)
    assert isinstance(refused, InvalidRequest)
    assert stored == Acknowledgement()


def test_points_on_many_days_are_stored_once(
    with_pipeline: WithPipeline, llm_store: EmbeddedStore, tenant: str
) -> None:
    day = 86_400 * SECOND
    request = gauge("g", 1.0)
    point = request.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0]
    for number in range(1, 450):
        request.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points.add(
            time_unix_nano=point.time_unix_nano - number * day, as_double=1.0
        )
    with_pipeline(lambda p: p.submit(Signal.METRICS, tenant, request.SerializeToString()))
    assert count(llm_store, "otel_metrics_gauge", tenant) == 450


def test_memory_that_a_malformed_request_asks_for_is_the_senders_fault(
    with_pipeline: WithPipeline, llm_store: EmbeddedStore, tenant: str
) -> None:
    store = FlakyStore(llm_store, SHORT_OF_MEMORY)
    with pytest.raises(InvalidRequest, match="announces"):
        with_pipeline(lambda p: p.submit(Signal.TRACES, tenant, with_a_cut_span()), FAST, store)
