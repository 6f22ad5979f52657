"""Batches that wait in the spool are inserted in order, and none of them blocks the others."""

from __future__ import annotations

import asyncio
import time

import pytest

from collector.backlog import Backlog, Suspicion
from collector.breaker import Breaker
from collector.signals import Signal


def replayed(sequences: list[int], fails: dict[int, int]) -> list[int]:
    """The order in which the batches are stored; those in `fails` are not so many times before."""
    order: list[int] = []

    async def run() -> None:
        async def replay(sequence: int, suspicion: Suspicion) -> None:
            if fails.get(sequence, 0):
                fails[sequence] -= 1
                backlog.failed(sequence, Signal.TRACES, True)
            else:
                order.append(sequence)
                backlog.stored(sequence, Signal.TRACES)

        backlog = Backlog(Breaker(recovery_seconds=0.001), asyncio.Semaphore(1), 1, replay)
        for sequence in sequences:
            backlog.add(sequence)
        await backlog.drained()

    asyncio.run(run())
    return order


def test_as_many_are_inserted_at_the_same_time_as_there_are_threads_and_one_while_the_store_is_on_trial() -> None:
    async def run(closed: bool) -> int:
        under_way = most = 0

        async def replay(sequence: int, suspicion: Suspicion) -> None:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.01)
            under_way -= 1
            backlog.stored(sequence, Signal.TRACES)

        breaker = Breaker(failures=1, recovery_seconds=0.05)
        if not closed:
            with pytest.raises(OSError, match="away"):
                breaker.call(away)
            await asyncio.sleep(0.1)
            assert not breaker.is_open
        backlog = Backlog(breaker, asyncio.Semaphore(2), 2, replay)
        for sequence in range(6):
            backlog.add(sequence)
        await backlog.drained()
        assert len(backlog) == 0
        return most

    def away() -> None:
        raise OSError("away")

    assert asyncio.run(run(closed=True)) == 2
    assert asyncio.run(run(closed=False)) == 1


def test_the_oldest_is_first() -> None:
    assert replayed([5, 3, 9], {}) == [3, 5, 9]


def test_one_that_fails_a_few_times_is_still_the_first() -> None:
    assert replayed([5, 3, 9], {3: 3}) == [3, 5, 9]


def test_one_that_goes_on_failing_makes_way_for_some_others_however_far_apart_their_numbers_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("collector.backlog._MAKES_WAY", 2)
    assert replayed([1, 10, 200, 3_000, 40_000], {1: 4}) == [10, 200, 1, 3_000, 40_000]
    assert replayed([1, 10, 200, 3_000, 40_000], {1: 5}) == [10, 200, 3_000, 40_000, 1]


def suspected(between: Signal | None, may_depend_on_data: bool = False, failures: int = 20) -> list[Suspicion]:
    """Of a batch of traces that fails so often, each time it is tried; one of signal `between` is stored after each failure."""
    seen: list[Suspicion] = []

    async def run() -> None:
        async def replay(sequence: int, suspicion: Suspicion) -> None:
            seen.append(suspicion)
            if len(seen) > failures:
                backlog.stored(sequence, Signal.TRACES)
                return
            backlog.failed(sequence, Signal.TRACES, may_depend_on_data)
            if between is not None:
                backlog.stored(1_000 + len(seen), between)

        backlog = Backlog(Breaker(recovery_seconds=0.001), asyncio.Semaphore(1), 1, replay)
        backlog.stored(999, Signal.TRACES)
        backlog.add(1)
        await backlog.drained()

    asyncio.run(run())
    return seen


GROWS = [Suspicion.NONE] * 4 + [Suspicion.STRONG] * 13 + [Suspicion.CERTAIN] * 4
NEVER = [Suspicion.NONE] * 21


@pytest.mark.parametrize("may_depend_on_data", [True, False])
def test_failures_count_against_the_data_when_others_are_stored_between_them_and_not_while_the_store_is_away(
    may_depend_on_data: bool,
) -> None:
    assert suspected(Signal.TRACES, may_depend_on_data) == GROWS
    assert suspected(None, may_depend_on_data) == NEVER


def test_that_another_signal_is_stored_counts_unless_the_tables_of_this_one_may_be_out_of_order() -> None:
    assert suspected(Signal.LOGS, may_depend_on_data=True) == GROWS
    assert suspected(Signal.LOGS, may_depend_on_data=False) == NEVER


def test_a_long_backlog_costs_no_more_a_batch_than_a_short_one() -> None:
    """A store that is away for hours leaves a hundred thousand, and each start takes up all of them."""
    started = time.process_time()
    assert len(replayed(list(range(30_000)), {})) == 30_000
    assert time.process_time() - started < 5.0
