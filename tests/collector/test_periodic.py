"""Work that is done again and again goes on after it has failed, and stops when told to."""

from __future__ import annotations

import asyncio
import threading

import pytest

from collector.periodic import Periodic


def test_it_begins_at_once_and_goes_on_after_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("not yet")

    async def use() -> None:
        periodic = Periodic("work", work, 0.01)
        periodic.start()
        async with asyncio.timeout(20):
            while len(calls) < 3:
                await asyncio.sleep(0.01)
        await periodic.stop(5)
        done = len(calls)
        await asyncio.sleep(0.1)
        assert len(calls) == done

    asyncio.run(use())
    assert [record.error for record in caplog.records] == ["not yet"]  # type: ignore[attr-defined]


def test_it_never_begins_with_0_seconds() -> None:
    calls: list[int] = []

    async def use() -> None:
        periodic = Periodic("work", lambda: calls.append(1), 0)
        periodic.start()
        await asyncio.sleep(0.05)
        await periodic.stop(1)

    asyncio.run(use())
    assert calls == []


def test_stopping_waits_for_work_under_way() -> None:
    entered, leave, left = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        entered.set()
        leave.wait(20)
        left.set()

    async def use() -> None:
        periodic = Periodic("work", work, 0.01)
        periodic.start()
        assert await asyncio.to_thread(entered.wait, 20)
        stopping = asyncio.create_task(periodic.stop(20))
        await asyncio.sleep(0.05)
        assert not stopping.done()
        leave.set()
        await stopping
        assert left.is_set()

    asyncio.run(use())
