"""What was acknowledged is stored, once, whatever the store does meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from collector.assembly import Collector
from collector.errors import HubError, InvalidRequest, Overloaded, Unavailable
from collector.pipeline import Acknowledgement, Pipeline, Signal
from collector.settings import PipelineSettings
from collector.spool import SpoolDamaged, SpoolError, SpoolSettings
from collector.spool.spool import Batch, Spool
from storage.embedded import EmbeddedStore
from storage.store import StoreError
from tests.collector.conftest import FAST, WithCollector
from tests.collector.flaky import SHORT_OF_MEMORY, TOO_MANY_PARTS, FlakyStore
from tests.collector.requests import logs, span, traces


def body(*names: str) -> bytes:
    return traces(*(span(name=name) for name in names or ("work",))).SerializeToString()


def stored(store: EmbeddedStore, tenant: str) -> list[str]:
    rows = store.rows("SELECT SpanName FROM otel_traces WHERE Tenant = {t:String} ORDER BY 1", params={"t": tenant})
    return [row["SpanName"] for row in rows]


def rolled_up(store: EmbeddedStore, table: str, tenant: str) -> int:
    rows = store.rows(f"SELECT count() AS n FROM {table} WHERE tenant = {{t:String}}", params={"t": tenant})
    return int(rows[0]["n"])


async def outcome(submitted: Awaitable[Acknowledgement]) -> Acknowledgement | HubError:
    try:
        return await submitted
    except HubError as error:
        return error


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


async def begun(submitted: Awaitable[Acknowledgement], hanging: FlakyStore) -> asyncio.Future[Acknowledgement]:
    """A request whose insert is under way until `hanging.gate` is opened."""
    first = asyncio.ensure_future(submitted)
    await until(lambda: hanging.begun == 1)
    return first


def submit(tenant: str, *bodies: bytes) -> Callable[[Collector], Awaitable[list[Acknowledgement]]]:
    async def use(collector: Collector) -> list[Acknowledgement]:
        return await asyncio.gather(*(collector.pipeline.submit(Signal.TRACES, tenant, each) for each in bodies))

    return use


def test_while_the_store_is_away_requests_wait_for_more_company(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    flaky = FlakyStore(llm_store, StoreError("connection refused"))

    async def use(collector: Collector) -> int:
        await collector.pipeline.submit(Signal.TRACES, tenant, body("first"))
        sent = []
        for number in range(10):
            sent.append(asyncio.create_task(collector.pipeline.submit(Signal.TRACES, tenant, body(f"later {number}"))))
            await asyncio.sleep(2 * FAST.flush_seconds)
        await asyncio.gather(*sent)
        waiting = len(collector.spool.waiting())
        flaky.error = None
        await until(lambda: not collector.spool.waiting())
        return waiting

    assert with_collector(use, FAST, flaky) <= 5
    assert len(stored(llm_store, tenant)) == 11


@pytest.mark.parametrize("late", [False, True], ids=["before the commit", "after the commit"])
@pytest.mark.parametrize(
    "error", [StoreError("connection refused"), TOO_MANY_PARTS, SHORT_OF_MEMORY, OSError("x")], ids=str
)
def test_while_the_store_fails_requests_are_acknowledged_from_the_spool_and_stored_once_when_it_is_back(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str, error: Exception, late: bool
) -> None:
    flaky = FlakyStore(llm_store, error, late=late)

    async def use(collector: Collector) -> None:
        for name in ("first", "second", "third"):
            assert await collector.pipeline.submit(Signal.TRACES, tenant, body(name)) == Acknowledgement()
        assert collector.spool.waiting()
        flaky.error = None
        await until(lambda: not collector.spool.waiting())
        assert collector.ledger.imbalance() == 0

    with_collector(use, FAST, flaky)
    assert stored(llm_store, tenant) == ["first", "second", "third"]


def test_who_waits_until_it_is_stored_is_answered_when_the_store_has_it_and_not_from_the_spool(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    """Kafka keeps a message until its offset is committed: it needs no second place."""
    flaky = FlakyStore(llm_store, StoreError("connection refused"))
    with_a_bad_span = traces(span(name="good"), span(trace_id=b"bad")).SerializeToString()

    async def use(collector: Collector) -> Acknowledgement:
        waits = collector.pipeline.submit(Signal.TRACES, tenant, with_a_bad_span, until_stored=True)
        patient = asyncio.ensure_future(waits)
        assert await collector.pipeline.submit(Signal.TRACES, tenant, body("other")) == Acknowledgement()
        await asyncio.sleep(0.3)
        assert not patient.done()
        flaky.error = None
        return await patient

    assert with_collector(use, FAST, flaky).rejected == 1
    assert stored(llm_store, tenant) == ["good", "other"]


def test_who_waits_until_it_is_stored_is_told_to_come_again_when_the_hub_stops(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    flaky = FlakyStore(llm_store, StoreError("connection refused"))

    async def use(collector: Collector) -> Acknowledgement | HubError:
        waiting = asyncio.ensure_future(
            outcome(collector.pipeline.submit(Signal.TRACES, tenant, body(), until_stored=True))
        )
        await until(lambda: bool(collector.spool.waiting()))
        await collector.close(patience=0.0)
        return await waiting

    assert isinstance(with_collector(use, FAST, flaky), Unavailable)
    with_collector(lambda collector: until(lambda: not collector.spool.waiting()))
    assert stored(llm_store, tenant) == ["work"]


def test_what_comes_again_until_it_is_stored_waits_for_what_an_earlier_process_has_left_in_the_spool(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    flaky = FlakyStore(llm_store, StoreError("connection refused"))
    same = body()
    with_collector(submit(tenant, same), FAST, flaky)

    async def use(collector: Collector) -> None:
        quick = await collector.pipeline.submit(Signal.TRACES, tenant, same)
        patient = asyncio.ensure_future(collector.pipeline.submit(Signal.TRACES, tenant, same, until_stored=True))
        await asyncio.sleep(0.3)
        assert (quick, patient.done(), collector.ledger.imbalance()) == (Acknowledgement(), False, 0)
        flaky.error = None
        assert await patient == Acknowledgement()
        assert stored(llm_store, tenant) == ["work"]
        assert collector.ledger.imbalance() == 0

    with_collector(use, FAST, flaky)


@pytest.mark.parametrize("trouble", [SpoolError("too many open files"), RuntimeError("a defect")], ids=str)
def test_a_batch_that_cannot_be_taken_from_the_spool_for_a_while_is_stored_after_that_and_holds_nobody_up(
    with_collector: WithCollector,
    llm_store: EmbeddedStore,
    tenant: str,
    trouble: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flaky = FlakyStore(llm_store, StoreError("connection refused"))

    async def use(collector: Collector) -> None:
        read = collector.spool.read

        def refuse_the_first(sequence: int) -> Batch:
            if sequence == 1:
                raise trouble
            return read(sequence)

        monkeypatch.setattr(collector.spool, "read", refuse_the_first)
        for name in ("first", "second", "third"):
            await collector.pipeline.submit(Signal.TRACES, tenant, body(name))
        flaky.error = None
        await until(lambda: collector.spool.waiting() == [1], 20.0)
        monkeypatch.undo()
        await until(lambda: not collector.spool.waiting())

    with_collector(use, store=flaky)
    assert stored(llm_store, tenant) == ["first", "second", "third"]


def test_a_batch_that_was_stored_without_an_answer_is_tried_again_while_the_store_recognises_it(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backlog is longer than what the store remembers of inserts."""
    monkeypatch.setattr("collector.backlog._MAKES_WAY", 1)
    flaky = FlakyStore(llm_store, StoreError("timeout"), late=True)
    names = [f"later {number}" for number in range(40)]

    async def use(collector: Collector) -> None:
        await collector.pipeline.submit(Signal.TRACES, tenant, body("first"))
        await until(lambda: flaky.begun >= 6, 30.0)
        flaky.late = False
        for name in names:
            await collector.pipeline.submit(Signal.TRACES, tenant, body(name))
        flaky.error = None
        await until(lambda: not collector.spool.waiting(), 120.0)

    llm_store.execute("ALTER TABLE otel_traces MODIFY SETTING non_replicated_deduplication_window = 30")
    try:
        with_collector(use, FAST, flaky)
    finally:
        llm_store.execute("ALTER TABLE otel_traces MODIFY SETTING non_replicated_deduplication_window = 10000")
    assert stored(llm_store, tenant) == sorted(["first", *names])


def test_a_batch_that_the_disk_has_changed_holds_nobody_up_and_is_kept_for_the_repair(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str, registry: CollectorRegistry
) -> None:
    flaky = FlakyStore(llm_store, StoreError("connection refused"))
    impatient = replace(FAST, spool=SpoolSettings(max_age_seconds=1.0))

    async def use(collector: Collector) -> None:
        await collector.pipeline.submit(Signal.TRACES, tenant, body("first"))
        flip_the_last_bit(collector.spool)
        await collector.pipeline.submit(Signal.TRACES, tenant, body("second"))
        await until(
            lambda: collector.spool.damaged_batches == 1
        )  # it may have been read just before the disk changed it
        flaky.error = None
        await until(lambda: collector.spool.waiting() == [1], 20.0)
        await asyncio.sleep(1.1)
        await collector.pipeline.submit(Signal.TRACES, tenant, body("third"))

    with_collector(use, impatient, flaky, registry)
    assert stored(llm_store, tenant) == ["second", "third"]
    assert registry.get_sample_value("llmhub_spool_damaged_batches") == 1
    with pytest.raises(SpoolDamaged, match="llmhub spool repair"):
        with_collector(lambda collector: asyncio.sleep(0))


def flip_the_last_bit(spool: Spool) -> None:
    (path,) = spool.directory.glob("*.spool")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_nobody_waits_for_the_store_to_reach_its_disk(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    slow_disk = FlakyStore(llm_store)
    slow_disk.flush_gate.clear()
    settings = replace(FAST, spool=SpoolSettings(segment_bytes=1))

    async def use(collector: Collector) -> None:
        for name in ("first", "second", "third"):
            await asyncio.wait_for(collector.pipeline.submit(Signal.TRACES, tenant, body(name)), 10)
        files = len(list(collector.spool.directory.glob("*.spool")))
        assert files >= 3
        slow_disk.flush_gate.set()
        await collector.pipeline.submit(Signal.TRACES, tenant, body("fourth"))
        await until(lambda: len(list(collector.spool.directory.glob("*.spool"))) < files)

    with_collector(use, settings, slow_disk)
    assert stored(llm_store, tenant) == ["first", "fourth", "second", "third"]


def test_the_log_quotes_nothing_of_what_the_store_chokes_on(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str, caplog: pytest.LogCaptureFixture
) -> None:
    chokes = StoreError.clickhouse(6, "CANNOT_PARSE_TEXT", "Cannot parse string 'my secret prompt' as Float64")
    flaky = FlakyStore(llm_store, chokes)

    async def use(collector: Collector) -> None:
        await collector.pipeline.submit(Signal.TRACES, tenant, body())
        await until(lambda: "CANNOT_PARSE_TEXT (code 6)" in logged(caplog))

    with_collector(use, store=flaky)
    assert "secret" not in logged(caplog)


def logged(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(str(vars(record)) for record in caplog.records)


def test_what_a_hub_left_in_the_spool_the_next_one_stores(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    with_collector(submit(tenant, body("a"), body("b")), FAST, FlakyStore(llm_store, TOO_MANY_PARTS))
    assert stored(llm_store, tenant) == []

    async def use(collector: Collector) -> int:
        await until(lambda: not collector.spool.waiting())
        return collector.ledger.imbalance()

    assert with_collector(use) == 0
    assert stored(llm_store, tenant) == ["a", "b"]


def test_a_batch_that_was_stored_but_not_settled_before_a_crash_is_not_stored_again(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    with_collector(submit(tenant, body("a"), body("b")), FAST, FlakyStore(llm_store, TOO_MANY_PARTS, late=True))
    assert stored(llm_store, tenant) == ["a", "b"]
    with_collector(lambda collector: until(lambda: not collector.spool.waiting()))
    assert stored(llm_store, tenant) == ["a", "b"]
    assert rolled_up(llm_store, "ingest_requests", tenant) == 2


def test_a_crash_between_two_views_of_one_insert_is_healed_by_the_replay(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    """A view behind llm_calls throws, so that otel_traces and llm_calls are written and what follows may not be."""
    from tests.collector.requests import call

    llm_store.execute("CREATE TABLE crash_switch (on UInt8) ENGINE = Memory")
    llm_store.execute("CREATE TABLE crash_target (x UInt8) ENGINE = Null")
    llm_store.execute("INSERT INTO crash_switch VALUES (1)")
    llm_store.execute(
        "CREATE MATERIALIZED VIEW crash_mv TO crash_target AS SELECT "
        f"throwIf(tenant = '{tenant}' AND (SELECT max(on) FROM crash_switch) = 1, 'crash') AS x FROM llm_calls_1m"
    )

    async def use(collector: Collector) -> None:
        request = traces(call()).SerializeToString()
        assert await collector.pipeline.submit(Signal.TRACES, tenant, request) == Acknowledgement()
        assert collector.spool.waiting()
        llm_store.execute("TRUNCATE TABLE crash_switch")
        await until(lambda: not collector.spool.waiting())

    try:
        with_collector(use)
    finally:
        for name in ("VIEW crash_mv", "TABLE crash_target", "TABLE crash_switch"):
            llm_store.execute(f"DROP {name}")
    rows = llm_store.rows(
        "SELECT (SELECT count() FROM otel_traces WHERE Tenant = {t:String}) AS spans, "
        "(SELECT count() FROM llm_calls WHERE tenant = {t:String}) AS calls, "
        "(SELECT sum(calls) FROM llm_calls_1m WHERE tenant = {t:String}) AS rolled_up, "
        "(SELECT count() FROM ingest_requests WHERE tenant = {t:String}) AS requests",
        params={"t": tenant},
    )
    assert rows == [{"spans": 1, "calls": 1, "rolled_up": 1, "requests": 1}]


def test_an_insert_that_hangs_is_acknowledged_from_the_spool(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    hanging = FlakyStore(llm_store, hangs=True)

    async def use(collector: Collector) -> None:
        started = time.monotonic()
        results = await asyncio.gather(
            *(collector.pipeline.submit(Signal.TRACES, tenant, body(f"s{number}")) for number in range(3)),
            collector.pipeline.submit(Signal.LOGS, tenant, logs("x").SerializeToString()),
        )
        assert results == [Acknowledgement()] * 4
        assert 0.3 < time.monotonic() - started < 5
        hanging.gate.set()
        await until(lambda: not collector.spool.waiting())

    with_collector(use, replace(FAST, ack_seconds=0.4, concurrent_inserts=1), hanging)
    assert stored(llm_store, tenant) == ["s0", "s1", "s2"]


def large(*names: str) -> list[bytes]:
    return [traces(span({"filler": name * 20_000}, name=name)).SerializeToString() for name in names]


BUSY = replace(FAST, batch_bytes=200_000, busy_ack_seconds=0.2, concurrent_inserts=1)


def test_a_large_batch_whose_insert_takes_long_is_acknowledged_early_and_inserted_once(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    slow = FlakyStore(llm_store, hangs=True)

    async def use(collector: Collector) -> None:
        sent = [asyncio.ensure_future(collector.pipeline.submit(Signal.TRACES, tenant, each)) for each in large("a")]
        await until(lambda: slow.begun == 1)
        behind = [collector.pipeline.submit(Signal.TRACES, tenant, each) for each in large("b", "c")]
        assert await asyncio.gather(*sent, *behind) == [Acknowledgement()] * 3
        assert len(collector.spool.waiting()) == 2, "one is being inserted, one waits for it"
        assert collector.delivery.backlog == 0, "it is inserted from memory"
        slow.gate.set()
        await collector.pipeline.flush()
        assert not collector.spool.waiting()
        assert collector.ledger.imbalance() == 0

    with_collector(use, BUSY, slow)
    assert stored(llm_store, tenant) == ["a", "b", "c"]
    assert slow.inserts == ["otlp_traces", "otlp_traces"]


def test_requests_that_wait_in_the_spool_for_their_insert_go_into_the_store_in_one(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    slow = FlakyStore(llm_store, hangs=True)
    names = [f"later {number}" for number in range(5)]

    async def use(collector: Collector) -> None:
        send = partial(collector.pipeline.submit, Signal.TRACES, tenant)
        first = await begun(send(body("first")), slow)
        for name in names:
            assert await send(body(name)) == Acknowledgement()
        slow.gate.set()
        await first
        await until(lambda: not collector.spool.waiting())
        assert collector.ledger.imbalance() == 0

    with_collector(use, replace(BUSY, ack_seconds=0.1), slow)
    assert stored(llm_store, tenant) == ["first", *names]
    assert slow.inserts == ["otlp_traces"] * 2


def test_a_batch_that_waits_for_its_insert_grows_up_to_the_largest_size_of_a_batch(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    slow = FlakyStore(llm_store, hangs=True)

    async def use(collector: Collector) -> None:
        send = partial(collector.pipeline.submit, Signal.TRACES, tenant)
        first = await begun(send(body("first")), slow)
        for each in large("a", "b", "c", "d"):
            await send(each)
        slow.gate.set()
        await first
        await until(lambda: not collector.spool.waiting())

    with_collector(use, replace(BUSY, max_batch_bytes=50_000), slow)
    assert stored(llm_store, tenant) == ["a", "b", "c", "d", "first"]
    assert slow.inserts == ["otlp_traces"] * 3


def test_nothing_is_added_to_a_batch_whose_insert_has_been_tried(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    """The store has taken it, without saying so: under its token nothing else would be stored."""
    flaky = FlakyStore(llm_store, StoreError("timeout"), late=True)

    async def use(collector: Collector) -> None:
        await collector.pipeline.submit(Signal.TRACES, tenant, body("first"))
        for number in range(8):
            await collector.pipeline.submit(Signal.TRACES, tenant, body(f"later {number}"))
        flaky.error = None
        await until(lambda: not collector.spool.waiting())

    with_collector(use, FAST, flaky)
    assert stored(llm_store, tenant) == sorted(["first", *(f"later {number}" for number in range(8))])


def test_a_batch_that_has_grown_is_recognised_after_a_crash(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    late = FlakyStore(llm_store, StoreError("timeout"), late=True, hangs=True)
    late.matches = lambda data: b"later" in data

    async def use(collector: Collector) -> None:
        send = partial(collector.pipeline.submit, Signal.TRACES, tenant)
        first = await begun(send(body("first")), late)
        for number in range(3):
            await send(body(f"later {number}"))
        late.gate.set()
        await first
        await until(lambda: stored(llm_store, tenant) == names)

    names = ["first", "later 0", "later 1", "later 2"]
    with_collector(use, replace(BUSY, ack_seconds=0.1), late)
    with_collector(lambda collector: until(lambda: not collector.spool.waiting()))
    assert stored(llm_store, tenant) == names
    assert rolled_up(llm_store, "ingest_requests", tenant) == 4


def test_what_has_come_during_an_outage_takes_one_insert(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    away = FlakyStore(llm_store, StoreError("connection refused"))
    names = ["a", "b", "c", "d"]

    async def use(collector: Collector) -> None:
        await collector.pipeline.submit(Signal.TRACES, tenant, body("before"))
        await until(lambda: collector.breaker.is_open)
        away.gate.clear()
        tried = away.begun
        await until(lambda: away.begun > tried)
        for name in names:
            await collector.pipeline.submit(Signal.TRACES, tenant, body(name))
        assert len(collector.spool.waiting()) == 2
        away.error = None
        away.inserts.clear()
        away.gate.set()
        await until(lambda: not collector.spool.waiting())

    with_collector(use, replace(FAST, concurrent_inserts=1), away)
    assert stored(llm_store, tenant) == ["a", "b", "before", "c", "d"]
    assert away.inserts == ["otlp_traces"] * 2


@pytest.mark.parametrize("late", [False, True], ids=["before the commit", "after the commit"])
def test_when_the_disk_has_changed_a_part_of_a_batch_the_rest_is_stored_once(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str, late: bool
) -> None:
    flaky = FlakyStore(llm_store, StoreError("timeout"), late=late, hangs=True)
    flaky.matches = lambda data: b"first" not in data

    async def use(collector: Collector) -> None:
        send = partial(collector.pipeline.submit, Signal.TRACES, tenant)
        first = await begun(send(body("first")), flaky)
        for each in large("a", "b", "c"):
            await send(each)
        flip_the_last_bit(collector.spool)
        flaky.gate.set()
        await first
        await until(lambda: collector.spool.damaged_batches == 1)
        flaky.error = None
        await until(lambda: len(stored(llm_store, tenant)) >= 3)
        await until(lambda: collector.delivery.backlog == 0)
        assert len(collector.spool.waiting()) == 1, "what is damaged stays for the repair"

    with_collector(use, BUSY, flaky)
    assert stored(llm_store, tenant) == ["a", "b", *(["c"] if late else []), "first"]


def test_a_small_batch_is_answered_when_it_is_stored_so_that_its_sender_learns_what_is_wrong_with_it(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    slow = FlakyStore(llm_store, hangs=True)

    async def use(collector: Collector) -> None:
        sent = asyncio.ensure_future(collector.pipeline.submit(Signal.TRACES, tenant, body("a")))
        await until(lambda: slow.begun == 1)
        await asyncio.sleep(2 * BUSY.busy_ack_seconds)
        assert not sent.done()
        slow.gate.set()
        await sent

    with_collector(use, BUSY, slow)


def test_what_does_not_fit_into_memory_waits_in_the_spool_alone_until_that_fills_up_and_senders_slow_down(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str, registry: CollectorRegistry
) -> None:
    slow = FlakyStore(llm_store, hangs=True)
    settings = replace(BUSY, max_pending_bytes=100_000, spool=SpoolSettings(max_bytes=300_000))

    def pending() -> float:
        return registry.get_sample_value("llmhub_collector_pending_bytes") or 0.0

    async def use(collector: Collector) -> None:
        first, *later, last = large("a", "b", "c", "d", "e")
        send = partial(collector.pipeline.submit, Signal.TRACES, tenant)
        assert await send(first) == Acknowledgement()
        held = pending()
        assert held >= len(first)
        for each in later:
            assert await send(each) == Acknowledgement()
        assert (pending(), collector.delivery.backlog) == (held, 1)
        slowed = asyncio.ensure_future(send(last))
        await asyncio.sleep(2 * settings.busy_ack_seconds)
        assert not slowed.done()
        slow.gate.set()
        await slowed
        await until(lambda: not collector.spool.waiting())

    with_collector(use, settings, slow, registry)
    assert stored(llm_store, tenant) == ["a", "b", "c", "d", "e"]


def test_a_full_spool_refuses_and_takes_again_when_the_store_is_back(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    flaky = FlakyStore(llm_store, StoreError("gone"))
    big = [traces(span({"filler": f"{number}" * 40_000})).SerializeToString() for number in range(9)]
    small = replace(FAST, spool=SpoolSettings(max_bytes=100_000, segment_bytes=40_000))

    async def use(collector: Collector) -> tuple[int, Overloaded]:
        outcomes = [await outcome(collector.pipeline.submit(Signal.TRACES, tenant, each)) for each in big]
        taken = outcomes.count(Acknowledgement())
        refused = outcomes[taken]
        assert isinstance(refused, Overloaded)
        assert "collector.spool.max_bytes" in str(refused)
        assert collector.pipeline.problem()
        flaky.error = None
        await until(lambda: not collector.spool.waiting())
        await collector.pipeline.submit(Signal.TRACES, tenant, big[taken])
        assert collector.ledger.imbalance() == 0
        return taken + 1, refused

    taken, refused = with_collector(use, small, flaky)
    assert 2 <= taken < 9
    assert refused.retry_after > 0
    assert len(stored(llm_store, tenant)) == taken


def test_a_repeated_request_is_acknowledged_and_stored_once(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    request = traces(span(name="good"), span(trace_id=b"bad")).SerializeToString()
    use = submit(tenant, request, request)
    first = with_collector(use)
    assert [outcome.rejected for outcome in first] == [1, 1]
    # The next hub on the same store knows what was stored, if not what was rejected of it.
    assert with_collector(use) == [Acknowledgement(), Acknowledgement()]
    assert stored(llm_store, tenant) == ["good"]


def test_a_request_that_was_refused_may_be_repeated(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    request = body("again")

    async def use(collector: Collector) -> None:
        with pytest.raises(Overloaded):
            await asyncio.gather(
                *(collector.pipeline.submit(Signal.TRACES, tenant, r) for r in (body("x" * 900), request))
            )
        await collector.pipeline.flush()
        assert await collector.pipeline.submit(Signal.TRACES, tenant, request) == Acknowledgement()
        rows = collector.ledger.rows()
        assert [(row["received"], row["stored"], row["refused"]) for row in rows] == [(3, 2, 1)]

    with_collector(use, replace(FAST, max_pending_bytes=1100))
    assert "again" in stored(llm_store, tenant)


def test_the_same_bytes_of_another_tenant_are_another_request(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    request = body()
    with_collector(submit(tenant, request))
    with_collector(submit(f"{tenant}-2", request))
    assert len(stored(llm_store, tenant)) == len(stored(llm_store, f"{tenant}-2")) == 1


def test_a_request_that_the_store_alone_refuses_becomes_a_dead_letter_and_holds_nobody_up(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    """Not because its bytes are wrong, but with an error that might pass, again and again."""
    cursed = FlakyStore(llm_store, StoreError.clickhouse(6, "CANNOT_PARSE_TEXT", "a view chokes"))
    cursed.matches = lambda data: b"cursed" in data

    async def use(collector: Collector) -> None:
        submitted = submit(tenant, body("before"), body("cursed"), body("after"))
        assert await submitted(collector) == [Acknowledgement()] * 3
        await drained_by_later_requests(collector, tenant)
        (letter,) = [row for row in collector.dead_letters.newest() if row["tenant"] == tenant]
        assert "keeps refusing" in letter["reason"]
        assert collector.ledger.imbalance() == 0

    with_collector(use, FAST, cursed)
    assert {"before", "after"} <= set(stored(llm_store, tenant))
    assert "cursed" not in stored(llm_store, tenant)


def test_a_batch_that_is_committed_and_never_confirmed_is_stored_once_and_no_dead_letter(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    """A balancer that answers in the store's place before the commit of a large batch, again and again."""
    slow = FlakyStore(llm_store, StoreError("504 Gateway Timeout"), late=True)
    slow.matches = lambda data: b"large" in data

    async def use(collector: Collector) -> None:
        submitted = submit(tenant, body("before"), body("large"), body("after"))
        assert await submitted(collector) == [Acknowledgement()] * 3
        await drained_by_later_requests(collector, tenant)
        assert collector.ledger.imbalance() == 0
        assert [row for row in collector.dead_letters.newest() if row["tenant"] == tenant] == []

    with_collector(use, FAST, slow)
    names = stored(llm_store, tenant)
    assert {"before", "large", "after"} <= set(names)
    assert len(names) == len(set(names)) == rolled_up(llm_store, "ingest_requests", tenant)


def test_while_a_table_of_one_signal_is_missing_its_requests_wait_and_those_of_others_are_stored(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    async def use(collector: Collector) -> None:
        send = partial(collector.pipeline.submit, tenant=tenant)
        assert await send(Signal.LOGS, body=logs("kept").SerializeToString()) == Acknowledgement()
        for number in range(8):
            await send(Signal.TRACES, body=body(f"span {number}"))
            await asyncio.sleep(0.3)
        await asyncio.to_thread(llm_store.execute, "RENAME TABLE missing TO otel_logs")
        await until(lambda: not collector.spool.waiting())
        assert [row for row in collector.dead_letters.newest() if row["tenant"] == tenant] == []

    llm_store.execute("RENAME TABLE otel_logs TO missing")
    try:
        with_collector(use, FAST)
    finally:
        llm_store.execute("RENAME TABLE IF EXISTS missing TO otel_logs")
    assert len(stored(llm_store, tenant)) == 8
    assert llm_store.rows("SELECT Body FROM otel_logs WHERE Tenant = {t:String}", params={"t": tenant}) == [
        {"Body": "kept"}
    ]


def test_the_pieces_of_a_batch_that_was_taken_apart_are_inserted_as_they_were(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    """The store may have taken one without saying so, and knows it by its token."""
    flaky = FlakyStore(llm_store, TOO_MANY_PARTS)
    tried: Counter[str] = Counter()

    def fails(data: bytes) -> bool:
        names = "".join(name for name in "abcd" if f"request-{name}".encode() in data)
        tried[names] += 1
        flaky.late = names in ("b", "cd")
        return names in ("abcd", "ab") or (flaky.late and tried[names] <= 3)  # the breaker tries three times

    flaky.matches = fails

    async def use(collector: Collector) -> None:
        await submit(tenant, *(body(f"request-{name}") for name in "abcd"))(collector)
        await drained_by_later_requests(collector, tenant)

    with_collector(use, FAST, flaky)
    assert [name for name in stored(llm_store, tenant) if name.startswith("request-")] == [f"request-{name}" for name in "abcd"]  # fmt: skip
    assert tried["b"] == tried["cd"] == 4


def test_a_dead_letter_keeps_the_bytes_sealed_and_replays_once(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    secret = span({"gen_ai.prompt": "a secret"}, parent_span_id=b"1")
    request = traces(span(name="good"), secret).SerializeToString()
    with_collector(submit(tenant, request))
    (row,) = llm_store.rows(
        "SELECT request_id, records, body FROM dead_letters WHERE tenant = {t:String}", params={"t": tenant}
    )
    assert row["records"] == 1
    assert "secret" not in row["body"]

    async def read(collector: Collector) -> Any:
        return await asyncio.to_thread(collector.dead_letters.get, row["request_id"])

    letter = with_collector(read)
    assert letter.body == traces(secret).SerializeToString()
    assert "parent_span_id" in letter.reason


def test_a_poison_request_is_a_dead_letter_too(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    from tests.collector.test_pipeline import with_a_cut_span

    async def use(collector: Collector) -> None:
        with pytest.raises(InvalidRequest):
            await collector.pipeline.submit(Signal.TRACES, tenant, with_a_cut_span())
        assert [row["dead_lettered"] for row in collector.ledger.rows()] == [1]

    with_collector(use)
    (row,) = llm_store.rows(
        "SELECT records, size, reason FROM dead_letters WHERE tenant = {t:String}", params={"t": tenant}
    )
    assert (row["records"], row["size"]) == (0, len(with_a_cut_span()))
    assert "not a valid OTLP traces request" in row["reason"]


def test_a_noisy_tenant_does_not_keep_a_quiet_one_waiting(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    slow = FlakyStore(llm_store)
    noise = [traces(span({"filler": f"{number:04}" * 10_000})).SerializeToString() for number in range(60)]
    settings = PipelineSettings(
        flush_seconds=0.02, batch_bytes=100_000, max_pending_bytes=2_000_000, concurrent_inserts=1
    )

    async def use(collector: Collector) -> tuple[int, int]:
        pipeline: Pipeline = collector.pipeline
        slow.gate.clear()
        noisy = [asyncio.ensure_future(pipeline.submit(Signal.TRACES, tenant, each)) for each in noise]
        await asyncio.sleep(0.1)
        quiet = asyncio.ensure_future(pipeline.submit(Signal.TRACES, "quiet", body()))
        await asyncio.sleep(0)
        slow.gate.set()
        await quiet
        inserts = len(slow.inserts)
        refused = [
            each for each in await asyncio.gather(*noisy, return_exceptions=True) if isinstance(each, Overloaded)
        ]
        return inserts, len(refused)

    inserts, refused = with_collector(use, settings, slow)
    assert inserts <= 3, "it went with one of the next batches"
    assert refused, "the noisy one has to wait"


def test_the_ledger_and_the_store_agree(with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str) -> None:
    request = traces(span(), span(), span(trace_id=b"bad")).SerializeToString()
    with_collector(submit(tenant, request, body("a", "b"), request))
    rows = llm_store.rows("SELECT * EXCEPT day FROM ingest_ledger WHERE tenant = {t:String}", params={"t": tenant})
    assert rows == [{"tenant": tenant, "signal": "traces", "received": 5, "stored": 4, "rejected": 1, "difference": 0}]


async def drained_by_later_requests(collector: Collector, tenant: str) -> None:
    for number in range(100):
        await collector.pipeline.submit(Signal.TRACES, tenant, body(f"later {number}"))
        if not collector.spool.waiting():
            return
        await asyncio.sleep(0.1)
    pytest.fail("batches are still waiting in the spool")
