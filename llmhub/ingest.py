"""OTLP request files into the store, through the same pipeline as everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry

from collector.assembly import Collector
from collector.errors import HubError, Overloaded
from collector.pipeline import Acknowledgement, Pipeline, Signal
from llmhub.config import Config
from receivers.files import read_exports
from storage.store import Store

_IN_FLIGHT = 64
_ATTEMPTS = 30


@dataclass
class Summary:
    """What became of the requests in the files; `problems` has one line for each that was not stored whole."""

    requests: int = 0
    stored: int = 0
    rejected_records: int = 0
    problems: list[str] = field(default_factory=list)


async def ingest(store: Store, config: Config, paths: Iterable[Path], progress: Callable[[Path], None]) -> Summary:
    """Store every request of `paths`; calls `progress` with each file it begins. One bad request stops nothing else."""
    collector = Collector(store, config.collector, CollectorRegistry(), config.spool_directory)
    await collector.start()
    pipeline = collector.pipeline
    summary = Summary()
    room = asyncio.Semaphore(_IN_FLIGHT)

    async def send(path: Path, signal: Signal, body: bytes) -> None:
        try:
            acknowledgement = await _submit(pipeline, signal, config.receivers.tenant, body)
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
            progress(path)
            for signal, body in _requests(path, summary):
                await room.acquire()
                summary.requests += 1
                tasks.create_task(send(path, signal, body))
    await collector.close()
    return summary


async def _submit(pipeline: Pipeline, signal: Signal, tenant: str, body: bytes) -> Acknowledgement:
    """Files come faster than they are stored, so being told to wait is no failure yet."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return await pipeline.submit(signal, tenant, body)
        except Overloaded as error:
            await asyncio.sleep(error.retry_after)
    return await pipeline.submit(signal, tenant, body)


def _requests(path: Path, summary: Summary) -> Iterator[tuple[Signal, bytes]]:
    try:
        yield from read_exports(path)
    except HubError as error:
        summary.problems.append(str(error))
    except OSError as error:
        summary.problems.append(f"{path}: {error.strerror or error}")
