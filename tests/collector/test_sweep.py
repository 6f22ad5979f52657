"""Spans that come again in other requests, hours or restarts later: a call counts, and costs, once."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client import CollectorRegistry

from collector.metrics import CollectorMetrics
from collector.periodic import Periodic
from collector.pipeline import Pipeline, Signal
from collector.sweep import Sweep, Sweeper
from storage.embedded import EmbeddedStore
from storage.store import StoreError
from tests.collector.conftest import WithPipeline
from tests.collector.crashing import Crash, Crashing
from tests.collector.requests import SECOND, call, traces

Row = dict[str, Any]
Send = Callable[..., None]
STEPS = ("llm_call_repeats", "llm_calls_1m", "DELETE", "llm_sweeps")
SUMS = (
    "calls, errors, streams, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, "
    "cost, unpriced_calls, duration_sum"
)


@pytest.fixture
def sweep(llm_store: EmbeddedStore) -> Sweep:
    """A sweep that starts on a clean store: what other tests repeated is not this one's."""
    Sweep(llm_store).run_once()
    return Sweep(llm_store)


@pytest.fixture
def send(with_pipeline: WithPipeline, tenant: str) -> Send:
    """Sends each list of spans as a request of its own, one insert after the other."""

    def send(*requests: Sequence[Span], tenant: str = tenant) -> None:
        async def use(pipeline: Pipeline) -> None:
            for spans in requests:
                request = traces(*spans)
                request.resource_spans[0].schema_url = uuid.uuid4().hex  # the same bytes would be recognised as such
                await pipeline.submit(Signal.TRACES, tenant, request.SerializeToString())

        with_pipeline(use)

    return send


def calls(store: EmbeddedStore, tenant: str) -> Row:
    (row,) = store.rows(
        "SELECT count() AS calls, countIf(is_error) AS errors, countIf(streaming) AS streams, "
        "sum(input_tokens) AS input_tokens, sum(cached_input_tokens) AS cached_input_tokens, "
        "sum(cache_write_tokens) AS cache_write_tokens, sum(output_tokens) AS output_tokens, "
        "sum(reasoning_tokens) AS reasoning_tokens, sum(ifNull(llm_calls.cost, 0)) AS cost, "
        "countIf(llm_calls.cost IS NULL) AS unpriced_calls, sum(duration) AS duration_sum "
        "FROM llm_calls WHERE tenant = {t:String}",
        params={"t": tenant},
    )
    return row


def minutes(store: EmbeddedStore, tenant: str) -> Row:
    columns = ", ".join(f"sum({name}) AS {name}" for name in SUMS.split(", "))
    (row,) = store.rows(f"SELECT {columns} FROM llm_calls_1m WHERE tenant = {{t:String}}", params={"t": tenant})
    return row


def spans(number: int, **fields: Any) -> list[Span]:
    """Calls of all kinds: priced and not, failed, streamed, with cached and reasoning tokens."""
    kinds: list[dict[str, Any]] = [
        {},
        {"response__model": "unheard-of", "request__model": "unheard-of"},
        {"usage__cache_read__input_tokens": 20, "usage__output_tokens": 7},
        {"request__model": "gpt-4o", "response__model": "gpt-4o", "usage__reasoning__output_tokens": 5},
    ]
    made = [call(**kinds[n % len(kinds)]) for n in range(number)]
    for n, each in enumerate(made):
        start = each.start_time_unix_nano - n * 7 * SECOND
        each.MergeFrom(Span(**{"start_time_unix_nano": start, "end_time_unix_nano": start + SECOND, **fields}))
        if n % 5 == 4:
            each.status.code = each.status.STATUS_CODE_ERROR
    return made


def check(store: EmbeddedStore, tenant: str, once: Row) -> None:
    assert calls(store, tenant) == pytest.approx(once)
    assert minutes(store, tenant) == pytest.approx(once)


def test_spans_that_come_again_in_other_requests_count_and_cost_once(
    llm_store: EmbeddedStore, sweep: Sweep, send: Send, tenant: str
) -> None:
    twenty = spans(20)
    send(twenty)
    once = calls(llm_store, tenant)
    assert once["calls"] == 20
    assert min(once["cost"], once["errors"], once["unpriced_calls"], once["cached_input_tokens"]) > 0
    send(twenty[:7], twenty[7:])
    assert minutes(llm_store, tenant)["calls"] == 40
    report = sweep.run_once()
    assert report.repeats == 20
    assert report.minutes >= 2
    assert report.seconds > 0
    check(llm_store, tenant, once)


def test_what_was_sent_once_is_left_alone(llm_store: EmbeddedStore, sweep: Sweep, send: Send, tenant: str) -> None:
    send(spans(20))
    once = calls(llm_store, tenant)
    assert sweep.run_once().repeats == 0
    check(llm_store, tenant, once)


def test_three_copies_of_which_two_are_in_one_request(
    llm_store: EmbeddedStore, sweep: Sweep, send: Send, tenant: str
) -> None:
    (one,) = spans(1)
    send([one, one], [one])
    assert sweep.run_once().repeats == 2
    assert calls(llm_store, tenant)["calls"] == minutes(llm_store, tenant)["calls"] == 1


def test_copies_that_come_after_a_sweep_and_after_merges(
    llm_store: EmbeddedStore, sweep: Sweep, send: Send, tenant: str
) -> None:
    ten = spans(10)
    send(ten[:5], ten[5:])
    once = calls(llm_store, tenant)
    for _ in range(2):
        sweep.run_once()
        llm_store.execute("OPTIMIZE TABLE llm_calls FINAL")
        llm_store.execute("OPTIMIZE TABLE llm_calls_1m FINAL")
        send(ten)
        llm_store.execute("OPTIMIZE TABLE llm_calls FINAL")
        assert sweep.run_once().repeats == 10
        check(llm_store, tenant, once)


def test_a_backfill_of_old_days_is_compared_with_what_was_stored_then(
    llm_store: EmbeddedStore, sweep: Sweep, send: Send, tenant: str
) -> None:
    old = time.time_ns() - 40 * 86400 * SECOND
    days = [each for day in range(4) for each in spans(3)]
    for n, each in enumerate(days):
        each.start_time_unix_nano = old + n * 12 * 86400 * SECOND // 4
        each.end_time_unix_nano = each.start_time_unix_nano + SECOND
    send(days)
    once = calls(llm_store, tenant)
    sweep.run_once()
    send(days[::2] + spans(1))
    assert sweep.run_once().repeats == 6
    assert calls(llm_store, tenant)["calls"] == minutes(llm_store, tenant)["calls"] == once["calls"] + 1


def test_the_copy_stored_first_stays(llm_store: EmbeddedStore, sweep: Sweep, send: Send, tenant: str) -> None:
    first, changed = call(), call(usage__output_tokens=1000, response__model="gpt-4o")
    for field in ("trace_id", "span_id", "start_time_unix_nano"):
        setattr(changed, field, getattr(first, field))
    send([first])
    once = calls(llm_store, tenant)
    send([changed])
    sweep.run_once()
    check(llm_store, tenant, once)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_between_any_two_steps_is_made_good_by_the_next_sweep(
    llm_store: EmbeddedStore, sweep: Sweep, send: Send, tenant: str, step: str, after: bool
) -> None:
    twelve = spans(12)
    # Of two months, which are two parts of each table.
    twelve[0].start_time_unix_nano -= 45 * 86400 * SECOND
    twelve[0].end_time_unix_nano -= 45 * 86400 * SECOND
    send(twelve)
    once = calls(llm_store, tenant)
    send(twelve, twelve[3:])
    with suppress(Crash):
        Sweep(Crashing(llm_store, step, after=after)).run_once()
        pytest.fail("the sweep has no such step")
    send(twelve[:2])  # which come between the crash and the next start
    Sweep(llm_store).run_once()
    check(llm_store, tenant, once)


def test_a_crash_in_the_middle_of_the_correction_is_made_good(
    llm_store: EmbeddedStore, sweep: Sweep, send: Send, tenant: str
) -> None:
    both = spans(2)
    both[0].start_time_unix_nano -= 45 * 86400 * SECOND
    send(both)
    once = calls(llm_store, tenant)
    send(both)
    with suppress(Crash):
        Sweep(Crashing(llm_store, "DELETE", after=False)).run_once()
    # One of the two months was written, the other was not.
    partition = llm_store.rows("SELECT toYYYYMM(now() - INTERVAL 45 DAY) AS month")[0]["month"]
    llm_store.execute(
        f"ALTER TABLE llm_calls_1m DELETE WHERE toYYYYMM(minute) = {partition} AND calls < 0 AND tenant = '{tenant}' "
        "SETTINGS mutations_sync = 2"
    )
    Sweep(llm_store).run_once()
    check(llm_store, tenant, once)


def test_a_second_sweep_changes_nothing(llm_store: EmbeddedStore, sweep: Sweep, send: Send, tenant: str) -> None:
    five = spans(5)
    send(five, five)
    once = calls(llm_store, tenant)
    sweep.run_once()
    once = calls(llm_store, tenant)
    assert once["calls"] == 5
    assert sweep.run_once().repeats == Sweep(llm_store).run_once().repeats == 0
    check(llm_store, tenant, once)


def test_more_repetitions_than_a_batch_holds(llm_store: EmbeddedStore, sweep: Sweep, send: Send, tenant: str) -> None:
    thirty = spans(30)
    send(thirty)
    once = calls(llm_store, tenant)
    send(thirty, thirty)
    assert Sweep(llm_store, batch_calls=7).run_once().repeats == 60
    check(llm_store, tenant, once)


def test_a_stopped_sweep_goes_on_at_the_next_run(
    llm_store: EmbeddedStore, sweep: Sweep, send: Send, tenant: str
) -> None:
    thirty = spans(30)
    send(thirty, thirty)
    stopped = Sweep(llm_store, batch_calls=5)
    stopped.stop()
    assert 0 < stopped.run_once().repeats < 30
    sweep.run_once()
    assert calls(llm_store, tenant)["calls"] == minutes(llm_store, tenant)["calls"] == 30


def test_the_same_span_of_two_tenants_is_two_calls(
    llm_store: EmbeddedStore, sweep: Sweep, send: Send, tenant: str
) -> None:
    five = spans(5)
    send(five)
    send(five, tenant=f"{tenant}-b")
    assert sweep.run_once().repeats == 0
    assert calls(llm_store, tenant)["calls"] == calls(llm_store, f"{tenant}-b")["calls"] == 5


def test_the_same_ids_at_disjoint_times_are_two_calls(
    llm_store: EmbeddedStore, sweep: Sweep, send: Send, tenant: str
) -> None:
    (one,) = spans(1)
    send([one])
    one.start_time_unix_nano, one.end_time_unix_nano = (
        one.end_time_unix_nano + 1,
        one.end_time_unix_nano + 1_000_000_000,
    )
    send([one])
    assert sweep.run_once().repeats == 0
    assert minutes(llm_store, tenant)["calls"] == 2


def test_users_and_sessions_stay_as_they_were(llm_store: EmbeddedStore, sweep: Sweep, send: Send, tenant: str) -> None:
    with_user = call(conversation__id="a")
    send([with_user], [with_user])
    sweep.run_once()
    (row,) = llm_store.rows(
        "SELECT uniqMerge(sessions) AS sessions, max(last_received_at) > now() - INTERVAL 1 HOUR AS fresh "
        "FROM llm_calls_1m WHERE tenant = {t:String}",
        params={"t": tenant},
    )
    assert row == {"sessions": 1, "fresh": 1}


def test_the_spans_as_they_arrived_stay_in_otel_traces(
    llm_store: EmbeddedStore, sweep: Sweep, send: Send, tenant: str
) -> None:
    five = spans(5)
    send(five, five)
    sweep.run_once()
    sql = "SELECT count() AS n FROM otel_traces WHERE Tenant = {t:String}"
    assert llm_store.rows(sql, params={"t": tenant}) == [{"n": 10}]


def test_sweeping_while_copies_arrive(llm_store: EmbeddedStore, sweep: Sweep, send: Send, tenant: str) -> None:
    hundred = spans(100)
    done = threading.Event()

    def keep_sweeping() -> None:
        while not done.is_set():
            sweep.run_once()

    sweeping = threading.Thread(target=keep_sweeping)
    sweeping.start()
    try:
        for n in range(12):
            send(hundred[n * 5 :], hundred[: 50 + n])
    finally:
        done.set()
        sweeping.join()
    sweep.run_once()
    assert calls(llm_store, tenant)["calls"] == minutes(llm_store, tenant)["calls"] == 100
    assert calls(llm_store, tenant) == pytest.approx(minutes(llm_store, tenant))


def test_it_runs_beside_the_event_loop_and_counts_what_it_took_out(
    llm_store: EmbeddedStore, sweep: Sweep, send: Send, tenant: str
) -> None:
    five = spans(5)
    send(five, five)
    registry = CollectorRegistry()
    metrics = CollectorMetrics(registry)

    async def use() -> None:
        sweeps = Periodic("sweep", Sweeper(sweep, metrics).once, 0.01)
        sweeps.start()
        while not registry.get_sample_value("llmhub_sweep_repeats_total"):
            await asyncio.sleep(0.01)
        await sweeps.stop(10)
        await sweeps.stop(10)

    asyncio.run(asyncio.wait_for(use(), 30))
    assert registry.get_sample_value("llmhub_sweep_repeats_total") == 5
    assert registry.get_sample_value("llmhub_sweep_runs_total", {"outcome": "finished"})
    assert calls(llm_store, tenant)["calls"] == 5


def test_a_failed_sweep_is_counted_and_tried_again(registry: CollectorRegistry) -> None:
    class Away:
        def rows(self, sql: str) -> list[Row]:
            raise StoreError("away")

    async def use() -> None:
        sweeper = Sweeper(Sweep(Away()), CollectorMetrics(registry))  # type: ignore[arg-type]
        sweeps = Periodic("sweep", sweeper.once, 0.001)
        sweeps.start()
        while (registry.get_sample_value("llmhub_sweep_runs_total", {"outcome": "failed"}) or 0) < 2:
            await asyncio.sleep(0.001)
        await sweeps.stop(10)

    asyncio.run(asyncio.wait_for(use(), 30))


def test_an_interval_of_0_is_off(sweep: Sweep, registry: CollectorRegistry) -> None:
    async def use() -> None:
        sweeps = Periodic("sweep", Sweeper(sweep, CollectorMetrics(registry)).once, 0)
        sweeps.start()
        await asyncio.sleep(0.05)
        await sweeps.stop(1)

    asyncio.run(use())
    assert registry.get_sample_value("llmhub_sweep_runs_total", {"outcome": "finished"}) is None
