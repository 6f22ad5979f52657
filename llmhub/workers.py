"""Several processes on one set of ports: the parent applies the schema, starts workers, starts those again that end, and
answers for all of them on the API port."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import uvloop
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from collector.gaps import GapsSettings
from collector.sweep import SweepSettings
from llmhub.api import Check, api_app
from llmhub.config import Config
from llmhub.hub import Addresses, prepare_store, until_signal
from llmhub.spools import worker_name, worker_spool
from llmhub.worker import Task
from llmhub.worker_metrics import SupervisorMetrics, WorkerMetrics
from llmhub.worker_process import WorkerError, WorkerProcess
from llmhub.worker_status import merged, silent
from receivers.http_server import HttpServer
from receivers.listener import join_address, open_socket, split_address

log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
# A worker that has served this long has not failed because of how it was started.
_STABLE_SECONDS = 60.0
# What a process may need beyond shutdown_seconds to end.
_MARGIN_SECONDS = 5.0


def supervise(config: Config, when_ready: Callable[[Addresses], None]) -> None:
    """Run the workers until SIGTERM or SIGINT. Raises StoreError, SchemaError, ListenError, WorkerError when they cannot
    start, WorkerError also when one did not end in order."""
    # Nothing has been received yet: a stop during the start just ends it, and the workers see that.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    with ExitStack() as held:
        config = _with_ports(config, held)
        prepare_store(config).close()
        uvloop.run(_run(config, when_ready))


def worker_config(config: Config, number: int) -> Config:
    """What differs from one worker to the next: the spool, an API that only the parent talks to, and that one is enough
    to sweep the store, to look for gaps in it, to keep the registry and to look after the prices."""
    collector = replace(config.collector, spool=worker_spool(config, number))
    own = replace(config, collector=collector, api=replace(config.api, listen="127.0.0.1:0"))
    if number == 0:
        return own
    storage = replace(
        config.storage,
        registry=replace(config.storage.registry, check_seconds=0.0),
        prices=replace(config.storage.prices, resolve_seconds=0.0),
    )
    return replace(own, storage=storage, sweep=SweepSettings(interval_seconds=0.0), gaps=GapsSettings(interval_seconds=0.0))  # fmt: skip


async def _run(config: Config, when_ready: Callable[[Addresses], None]) -> None:
    supervisor = Supervisor(config)

    async def work() -> None:
        when_ready(await supervisor.start())
        await supervisor.keep_up()

    try:
        await until_signal(asyncio.ensure_future(work()))
    finally:
        failed = await supervisor.stop()
    if failed:
        raise WorkerError(
            f"workers {failed} did not stop in order; the log says more. What they had acknowledged is in the spool"
        )


class Supervisor:
    """Keeps receivers.workers processes running, and merges what they say about themselves."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._workers = [
            WorkerProcess(Task(number, config, worker_config(config, number)))
            for number in range(config.receivers.workers)
        ]
        own = CollectorRegistry()
        for instrument in (ProcessCollector, PlatformCollector, GCCollector):
            instrument(registry=own)
        self._metrics = SupervisorMetrics(own)
        of_all = CollectorRegistry()
        of_all.register(WorkerMetrics(self._workers, own))
        for worker in self._workers:
            self._metrics.restarts.labels(worker.number)
            self._metrics.up.labels(worker.number).set_function(partial(_is_up, worker))
        checks: dict[str, Check] = {worker_name(each.number): partial(_problem, each) for each in self._workers}
        self._api = HttpServer(api_app(of_all, checks, self._status), config.api.listen, "api.listen")

    async def start(self) -> Addresses:
        """Returns when all workers serve. Raises ListenError, WorkerError for the first that cannot."""
        api = await self._api.start()
        await asyncio.gather(*(worker.start() for worker in self._workers))
        receivers = self._config.receivers
        return Addresses(receivers.otlp_grpc.listen, receivers.otlp_http.listen, api, "")

    async def keep_up(self) -> None:
        """Start workers again as they end, for ever."""
        async with asyncio.TaskGroup() as tasks:
            for worker in self._workers:
                tasks.create_task(self._keep_up(worker))

    async def stop(self) -> list[int]:
        """Stop the workers; returns the numbers of those that did not do it in order and in time. Safe to call after a
        failed start."""
        patience = self._config.shutdown_seconds + _MARGIN_SECONDS
        running = [worker for worker in self._workers if worker.is_running]
        in_order = await asyncio.gather(*(worker.stop(patience) for worker in running))
        await self._api.stop(_MARGIN_SECONDS)
        return [worker.number for worker, well in zip(running, in_order, strict=True) if not well]

    async def _status(self) -> dict[str, Any]:
        reports = await asyncio.gather(*(_status(worker) for worker in self._workers))
        return merged({worker_name(each.number): report for each, report in zip(self._workers, reports, strict=True)})

    async def _keep_up(self, worker: WorkerProcess) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            started = time.monotonic()
            code = await worker.ended()
            log.error("a worker has ended and is started again", extra={"worker": worker.number, "exit_code": code})
            if time.monotonic() - started >= _STABLE_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            pause = await self._start_again(worker, pause)

    async def _start_again(self, worker: WorkerProcess, pause: float) -> float:
        """Try until it serves; returns the seconds to wait before the next time."""
        while True:
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            self._metrics.restarts.labels(worker.number).inc()
            try:
                await worker.start()
            except WorkerError as error:
                log.error("a worker cannot start", extra={"worker": worker.number, "error": str(error)})
            else:
                log.info("a worker serves again", extra={"worker": worker.number, "pid": worker.pid})
                return pause


def _is_up(worker: WorkerProcess) -> bool:
    return worker.is_up


async def _problem(worker: WorkerProcess) -> str:
    try:
        status, body = await asyncio.to_thread(worker.get, "/readyz")
    except OSError as error:
        return f"it does not serve: {error}"
    if status == 200:
        return ""
    return "; ".join(f"{name}: {problem}" for name, problem in json.loads(body)["problems"].items())


async def _status(worker: WorkerProcess) -> dict[str, Any]:
    try:
        _, body = await asyncio.to_thread(worker.get, "/status")
    except OSError as error:
        return silent(str(error))
    return dict(json.loads(body))


def _with_ports(config: Config, held: ExitStack) -> Config:
    """`config` with the addresses at which the workers are to listen, none of them used by others."""
    receivers = config.receivers
    grpc = _hold(receivers.otlp_grpc.listen, "receivers.otlp_grpc.listen", held)
    http = _hold(receivers.otlp_http.listen, "receivers.otlp_http.listen", held)
    return replace(
        config,
        receivers=replace(
            receivers,
            otlp_grpc=replace(receivers.otlp_grpc, listen=grpc),
            otlp_http=replace(receivers.otlp_http, listen=http),
        ),
    )


def _hold(listen: str, setting: str, held: ExitStack) -> str:
    """Bind the address without listening, so that it stays ours while workers come and go; port 0 becomes a free one."""
    with open_socket(listen, setting) as probe:  # or we would share the port with whoever has it
        family, address = probe.family, probe.getsockname()
    sock = held.enter_context(socket.socket(family))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(address)
    return join_address(split_address(listen, setting)[0], address[1])
