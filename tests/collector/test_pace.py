"""Inserts fill half of the time while there is no hurry."""

from __future__ import annotations

import asyncio
from math import inf

from collector.pace import Pace


def test_a_pause_is_as_long_as_the_insert_before_it() -> None:
    async def run() -> None:
        pace = Pace()
        assert not pace.is_resting
        began = asyncio.get_running_loop().time()
        with pace.insert():
            assert (pace.is_resting, pace.rest_until) == (True, inf)
            await asyncio.sleep(0.05)
        ended = asyncio.get_running_loop().time()
        assert 2 * (ended - began) >= pace.rest_until - began >= 0.1
        await pace.rest(inf, lambda: False)
        assert not pace.is_resting

    asyncio.run(run())


def test_the_pause_begins_when_no_insert_is_under_way() -> None:
    async def run() -> None:
        pace = Pace()
        with pace.insert():
            with pace.insert():
                await asyncio.sleep(0.01)
            assert pace.rest_until == inf
        assert pace.rest_until < inf

    asyncio.run(run())


def test_a_rest_ends_at_the_latest_time_or_when_there_is_enough() -> None:
    async def run() -> None:
        pace = Pace()
        loop = asyncio.get_running_loop()
        with pace.insert():
            latest = loop.time() + 0.05
            await pace.rest(latest, lambda: False)
            assert loop.time() >= latest
            held: list[int] = []
            resting = asyncio.create_task(pace.rest(inf, lambda: bool(held)))
            pace.look()
            await asyncio.sleep(0.01)
            assert not resting.done()
            held.append(1)
            pace.look()
            await asyncio.wait_for(resting, 1)

    asyncio.run(run())
