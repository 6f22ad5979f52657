"""How a worker ends: a process of its own, and nobody listens where its store should be."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress

import pytest
import uvloop

from llmhub.config import Config
from llmhub.worker import Task
from llmhub.worker_process import WorkerError, WorkerProcess

PATIENCE = 30.0


async def when_it_could_not_start(worker: WorkerProcess) -> None:
    with pytest.raises(WorkerError, match="no ClickHouse server answers"):
        await worker.start()
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and the event loop does not know yet


async def during_its_start(worker: WorkerProcess) -> None:
    start = asyncio.create_task(worker.start())
    while not worker.is_running:
        await asyncio.sleep(0.01)
    start.cancel()
    with suppress(asyncio.CancelledError):
        await start


@pytest.mark.parametrize("stopped", [when_it_could_not_start, during_its_start])
def test_a_worker_that_does_not_serve_yet_is_stopped_in_order(
    stopped: Callable[[WorkerProcess], Coroutine[None, None, None]],
) -> None:
    config = Config().with_dsn("clickhouse://default@127.0.0.1:1/llm")

    async def start_and_stop() -> bool:
        worker = WorkerProcess(Task(0, config, config))
        await stopped(worker)
        return await worker.stop(PATIENCE)

    assert uvloop.run(start_and_stop())
