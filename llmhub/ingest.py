"""OTLP request files into the store, through the same pipeline as everything else: this process's own or, when a
running hub holds the store, that hub's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from prometheus_client import CollectorRegistry

from collector.assembly import Collector
from collector.errors import HubError, Overloaded
from collector.pipeline import Acknowledgement, Signal
from llmhub.config import Config
from llmhub.hub import prepare_store
from llmhub.running_hub import RunningHub
from llmhub.spools import ingest_spool
from receivers.files import Exports, read_exports
from storage.embedded import StoreBusy
from storage.store import Store

_IN_FLIGHT = 64
_ATTEMPTS = 30
_LOOK_SECONDS = 0.5

Submit = Callable[[Signal, str, bytes], Awaitable[Acknowledgement]]
Progress = Callable[[int], object]


@dataclass
class Summary:
    """What became of the requests in the files; `problems` has one line for each that was not stored whole."""

    requests: int = 0
    stored: int = 0
    rejected_records: int = 0
    problems: list[str] = field(default_factory=list)


def ingest_files(config: Config, paths: Iterable[Path], fmt: str, progress: Progress) -> Summary:
    """Store what is in `paths`, which are absolute or '-'; calls `progress` with numbers of bytes read.

    Raises StoreError, and Unavailable when the hub that holds the store is not where the configuration says.
    """
    tenant = config.receivers.tenant
    try:
        store = prepare_store(config)
    except StoreBusy as busy:
        if busy.owner is None or not busy.owner.url:
            raise
        with RunningHub(config.receivers.otlp_http, _IN_FLIGHT) as hub:
            return asyncio.run(send(hub.submit, tenant, paths, fmt, progress))
    try:
        return asyncio.run(ingest(store, config, paths, fmt, progress))
    finally:
        store.close()


async def ingest(store: Store, config: Config, paths: Iterable[Path], fmt: str, progress: Progress) -> Summary:
    """Store every request of `paths` in `store`, which this process holds."""
    settings = replace(config.collector, spool=ingest_spool(config))
    collector = Collector(store, settings, CollectorRegistry(), config.spool_directory)
    await collector.start()
    summary = await send(collector.pipeline.submit, config.receivers.tenant, paths, fmt, progress)
    await _drain(collector)
    await collector.close()
    if left := len(collector.spool.waiting()):
        summary.problems.append(
            f"{left} batches are safe in {settings.spool.path}, and the store does not take them now: the next `llmhub up` "
            "or `llmhub ingest` stores them. Do not ingest their files again."
        )
    return summary


async def _drain(collector: Collector) -> None:
    """Wait until all is stored, or the store is away."""
    await collector.pipeline.flush()
    drained = asyncio.create_task(collector.delivery.drained())
    while not drained.done() and collector.breaker.is_closed:
        await asyncio.wait({drained}, timeout=_LOOK_SECONDS)
    drained.cancel()


async def send(submit: Submit, tenant: str, paths: Iterable[Path], fmt: str, progress: Progress) -> Summary:
    """Submit every request of `paths`. One bad request or unreadable file stops nothing else."""
    summary = Summary()
    room = asyncio.Semaphore(_IN_FLIGHT)

    async def one(path: Path, signal: Signal, body: bytes) -> None:
        try:
            acknowledgement = await _patiently(submit, signal, tenant, body)
        except HubError as error:
            summary.problems.append(f"{path}: {error}")
        else:
            summary.stored += 1
            summary.rejected_records += acknowledgement.rejected
            if acknowledgement.rejected:
                summary.problems.append(
                    f"{path}: {acknowledgement.rejected} records rejected: {acknowledgement.reason}"
                )
        finally:
            room.release()

    async with asyncio.TaskGroup() as tasks:
        for path in paths:
            for signal, body in _requests(path, fmt, progress, summary):
                await room.acquire()
                summary.requests += 1
                tasks.create_task(one(path, signal, body))
    return summary


async def _patiently(submit: Submit, signal: Signal, tenant: str, body: bytes) -> Acknowledgement:
    """Files come faster than they are stored, so being told to wait is no failure yet."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return await submit(signal, tenant, body)
        except Overloaded as error:
            await asyncio.sleep(error.retry_after)
    return await submit(signal, tenant, body)


def _requests(path: Path, fmt: str, progress: Progress, summary: Summary) -> Exports:
    try:
        yield from read_exports(path, fmt, progress)
    except HubError as error:
        summary.problems.append(str(error))
    except OSError as error:
        summary.problems.append(f"{path}: {error.strerror or error}")
