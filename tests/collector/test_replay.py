"""Dead letters that are sent through the pipeline again: stored once, whatever happens in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import pytest

from collector.assembly import Collector
from collector.dead_letters import DeadLetter
from collector.errors import InvalidRequest, Unavailable
from collector.pipeline import Signal
from collector.replay import Outcome, Replayed
from storage.embedded import EmbeddedStore
from storage.store import StoreError
from tests.collector.conftest import FAST, WithCollector
from tests.collector.flaky import TOO_MANY_PARTS, FlakyStore
from tests.collector.requests import logs, span, traces
from tests.collector.test_delivery import body, stored, until
from tests.collector.test_pipeline import with_a_cut_span

pytestmark = pytest.mark.filterwarnings("error")


async def letters(collector: Collector, tenant: str) -> list[int]:
    rows = await asyncio.to_thread(collector.dead_letters.newest)
    return [row["request_id"] for row in rows if row["tenant"] == tenant and not row["replayed"]]


async def keep(collector: Collector, tenant: str, content: bytes, request_id: int | None = None) -> int:
    """A letter whose reason has passed, as after an upgrade: its bytes are good."""
    letter = DeadLetter(request_id or time.time_ns(), tenant, Signal.TRACES, time.time_ns(), "of old", 0, content)
    await asyncio.to_thread(collector.dead_letters.keep, [letter])
    return letter.request_id


async def replay(collector: Collector, request_id: int) -> Outcome:
    return (await collector.replayer.replay(request_id)).outcome


def test_a_letter_is_stored_once_however_often_it_is_replayed(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    async def use(collector: Collector) -> int:
        request_id = await keep(collector, tenant, body("late"))
        together = await asyncio.gather(replay(collector, request_id), replay(collector, request_id))
        assert {Outcome.REPLAYED} <= set(together) <= {Outcome.REPLAYED, Outcome.ALREADY}
        assert await replay(collector, request_id) is Outcome.ALREADY
        assert await letters(collector, tenant) == []
        assert collector.ledger.imbalance() == 0
        return request_id

    request_id = with_collector(use)
    assert with_collector(lambda collector: replay(collector, request_id)) is Outcome.ALREADY
    assert stored(llm_store, tenant) == ["late"]


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The hub dies before it can note that a letter was replayed."""
    from collector.dead_letters import DeadLetters

    monkeypatch.setattr(DeadLetters, "mark_replayed", lambda self, request_id: None)
    yield
    monkeypatch.undo()


@pytest.mark.usefixtures("forgetful")
def test_a_crash_between_storing_and_marking_does_not_store_twice(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    async def first(collector: Collector) -> int:
        request_id = await keep(collector, tenant, body("late"))
        assert await replay(collector, request_id) is Outcome.REPLAYED
        assert await letters(collector, tenant) == [request_id], "nothing was noted"
        return request_id

    request_id = with_collector(first)
    for _ in range(2):
        assert with_collector(lambda collector: replay(collector, request_id)) is Outcome.ALREADY
    assert stored(llm_store, tenant) == ["late"]


def test_a_replay_that_waits_in_the_spool_is_not_sent_again(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from collector.dead_letters import DeadLetters

    async def away(collector: Collector) -> int:
        request_id = await keep(collector, tenant, body("late"))
        for _ in range(2):
            assert await replay(collector, request_id) is Outcome.REPLAYED
        assert [batch[0] <= batch[1] for batch in collector.spool.issued()[1]] == [True]
        monkeypatch.setattr(type(collector.pipeline), "duplicate_window_seconds", 0.0)
        assert await replay(collector, request_id) is Outcome.POSTPONED
        return request_id

    with monkeypatch.context() as patch:
        patch.setattr(DeadLetters, "mark_replayed", lambda self, request_id: None)
        request_id = with_collector(away, FAST, FlakyStore(llm_store, TOO_MANY_PARTS))

    async def back(collector: Collector) -> Outcome:
        await until(lambda: not collector.spool.waiting())
        return await replay(collector, request_id)

    monkeypatch.undo()
    assert with_collector(back) is Outcome.ALREADY
    assert stored(llm_store, tenant) == ["late"]


def test_letters_with_the_same_bytes_are_stored_once(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    request = body("same")

    async def use(collector: Collector) -> list[Outcome]:
        ids = [await keep(collector, tenant, request, 10**15 + number) for number in range(2)]
        return [await replay(collector, each) for each in ids]

    assert with_collector(use) == [Outcome.REPLAYED, Outcome.ALREADY]
    assert stored(llm_store, tenant) == ["same"]


def test_what_its_sender_has_sent_again_meanwhile_is_not_stored_twice(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    request = body("resent")

    async def use(collector: Collector) -> Outcome:
        request_id = await keep(collector, tenant, request)
        await collector.pipeline.submit(Signal.TRACES, tenant, request)
        return await replay(collector, request_id)

    assert with_collector(use) is Outcome.ALREADY
    assert stored(llm_store, tenant) == ["resent"]


@pytest.mark.parametrize(
    "content", [with_a_cut_span(), traces(span(trace_id=b"bad")).SerializeToString()], ids=["poison", "records"]
)
def test_what_is_rejected_again_stays_the_one_letter_that_it_was(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str, content: bytes
) -> None:
    async def use(collector: Collector) -> None:
        with suppress(InvalidRequest):
            await collector.pipeline.submit(Signal.TRACES, tenant, content)
        before = await letters(collector, tenant)
        assert len(before) == 1
        for _ in range(3):
            outcome: Replayed = await collector.replayer.replay(before[0])
            assert (outcome.outcome, bool(outcome.detail)) == (Outcome.REJECTED, True)
        assert await letters(collector, tenant) == before
        assert collector.ledger.imbalance() == 0

    with_collector(use)
    assert stored(llm_store, tenant) == []


def test_letters_with_the_same_bytes_that_are_rejected_together_stay_both(
    with_collector: WithCollector, tenant: str
) -> None:
    content = with_a_cut_span()

    async def use(collector: Collector) -> None:
        for _ in range(2):
            with pytest.raises(InvalidRequest):
                await collector.pipeline.submit(Signal.TRACES, tenant, content)
        before = await letters(collector, tenant)
        assert len(before) == 2
        outcomes = await asyncio.gather(*(replay(collector, each) for each in before))
        assert outcomes == [Outcome.REJECTED] * 2
        assert sorted(await letters(collector, tenant)) == sorted(before)

    with_collector(use)


def test_of_a_letter_that_is_good_in_part_the_rest_remains(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    request = traces(span(name="good"), span(name="bad", trace_id=b"bad")).SerializeToString()

    async def use(collector: Collector) -> None:
        request_id = await keep(collector, tenant, request)
        assert await replay(collector, request_id) is Outcome.REPLAYED
        (rest,) = await letters(collector, tenant)
        letter = await asyncio.to_thread(collector.dead_letters.get, rest)
        assert letter is not None
        assert b"good" not in letter.body
        assert await replay(collector, rest) is Outcome.REJECTED
        assert await letters(collector, tenant) == [rest]

    with_collector(use)
    assert stored(llm_store, tenant) == ["good"]


def test_what_is_purged_stays_away_after_a_loss_of_power(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    store = FlakyStore(llm_store)

    async def use(collector: Collector) -> None:
        request_id = await keep(collector, tenant, b"x")
        flushes = store.flushes
        assert await asyncio.to_thread(collector.dead_letters.purge, [request_id]) == 1
        assert store.flushes > flushes

    with_collector(use, store=store)


def test_bytes_that_no_sender_waits_for_become_a_dead_letter(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str
) -> None:
    async def use(collector: Collector) -> None:
        await collector.pipeline.dead_letter(Signal.LOGS, tenant, b"not OTLP at all", "the topic holds something else")
        (request_id,) = await letters(collector, tenant)
        letter = await asyncio.to_thread(collector.dead_letters.get, request_id)
        assert letter is not None
        assert (letter.body, letter.reason) == (b"not OTLP at all", "the topic holds something else")
        (row,) = collector.ledger.rows()
        assert (row["received"], row["dead_lettered"], row["under_way"]) == (1, 1, 0)
        assert await collector.pipeline.submit(Signal.LOGS, tenant, logs("x").SerializeToString())

    with_collector(use)


def test_bytes_that_come_again_because_nobody_was_told_that_they_are_kept_are_one_dead_letter(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise StoreError("no answer")

    async def use(collector: Collector) -> None:
        bury = partial(collector.pipeline.dead_letter, Signal.LOGS, tenant, reason="no OTLP")
        with monkeypatch.context() as broken:
            broken.setattr(llm_store, "flush", fail)
            with pytest.raises(Unavailable):
                await bury(b"x")
        await bury(b"x")
        await bury(b"y")
        kept = await letters(collector, tenant)
        assert len(kept) == 2

        assert await asyncio.to_thread(collector.dead_letters.purge, kept) == 2
        await bury(b"x")
        assert len(await letters(collector, tenant)) == 1

    with_collector(use)


def test_a_dead_letter_that_the_store_does_not_take_is_an_error_and_no_loss(
    with_collector: WithCollector, llm_store: EmbeddedStore, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise StoreError("gone")

    async def use(collector: Collector) -> None:
        monkeypatch.setattr(collector.dead_letters, "keep", refuse)
        with pytest.raises(Unavailable):
            await collector.pipeline.dead_letter(Signal.LOGS, tenant, b"x", "no OTLP")
        (row,) = collector.ledger.rows()
        assert (row["received"], row["refused"], collector.ledger.imbalance()) == (1, 1, 0)

    with_collector(use)
