"""From receivers to the store: check, batch, insert, acknowledge."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from collector.envelope import Envelope, wrap
from collector.errors import HubError, InvalidRequest, Overloaded, Unavailable
from collector.metrics import CollectorMetrics
from collector.signals import Signal
from collector.writer import Acknowledgement, Outcome, Writer

__all__ = ["Acknowledgement", "Pipeline", "PipelineSettings", "Signal"]

# A single slow insert, a merge say, must not make later senders wait for many seconds.
_MAX_PACE_SECONDS = 0.5
Waiting = tuple[Envelope, asyncio.Future[Outcome]]


@dataclass(frozen=True)
class PipelineSettings:
    """When a batch is written, and how much may wait."""

    flush_seconds: float = 0.25
    """Seconds a request waits for company before its batch is inserted; longer, up to half a second, where inserts
    take longer, so that they never fill more than half of the time of a nearly idle hub."""
    batch_bytes: int = 16 << 20
    """A batch of this size is inserted at once when an insert thread is free."""
    max_batch_bytes: int = 64 << 20
    """While all insert threads are busy, batches grow up to this size."""
    max_pending_bytes: int = 256 << 20
    """Bytes received and not yet committed; above it senders are told to retry."""
    concurrent_inserts: int = 2
    """Batches that are inserted at the same time."""


class Pipeline:
    """Takes requests on one event loop and acknowledges each after its batch is committed.

    Memory is bounded by `max_pending_bytes`. Not thread-safe; inserts run in threads of its own.
    """

    def __init__(self, writer: Writer, metrics: CollectorMetrics, settings: PipelineSettings) -> None:
        self._writer = writer
        self._metrics = metrics
        self._settings = settings
        # Ids grow across restarts, so that a batch is a range of them in dead_letters.
        self._ids = itertools.count(time.time_ns())
        self._queues = {signal: _Queue() for signal in Signal}
        self._pending = 0
        self._closed = False
        self._threads = ThreadPoolExecutor(settings.concurrent_inserts, thread_name_prefix="insert")
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, signal: Signal, tenant: str, body: bytes) -> Acknowledgement:
        """Store one Export*ServiceRequest. Returns after commit.

        Raises InvalidRequest, Overloaded or Unavailable; on the last two the sender may send again.
        """
        started = time.perf_counter()
        self._metrics.received_bytes.labels(signal).inc(len(body))
        outcome = "failed"
        try:
            acknowledgement = await self._store(signal, tenant, body)
            outcome = "partial" if acknowledgement.rejected else "stored"
            return acknowledgement
        except HubError as error:
            outcome = _OUTCOMES.get(type(error), "failed")
            raise
        finally:
            self._metrics.requests.labels(signal, outcome).inc()
            self._metrics.ack_seconds.labels(signal).observe(time.perf_counter() - started)

    def refused(self, signal: Signal, reason: str) -> None:
        """Count a request that a receiver has refused by itself; `reason` is from a small fixed set."""
        self._metrics.refused.labels(signal, reason).inc()

    def problem(self) -> str:
        """Why the pipeline takes nothing now, '' when it does."""
        if self._closed:
            return "the hub is shutting down"
        if self._pending >= self._settings.max_pending_bytes * 0.9:
            return f"{self._pending} bytes wait to be stored, near collector.max_pending_bytes; the store is slow"
        return ""

    async def flush(self) -> None:
        """Insert what waits, and wait until everything submitted so far has its outcome."""
        while self._tasks or any(queue.waiting for queue in self._queues.values()):
            for signal in Signal:
                self._start_insert(signal)
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """Refuse new requests, flush, release the threads. Idempotent."""
        self._closed = True
        await self.flush()
        self._threads.shutdown()

    async def _store(self, signal: Signal, tenant: str, body: bytes) -> Acknowledgement:
        if not body:
            return Acknowledgement()
        self._check_room(len(body))
        envelope = wrap(signal, tenant, body, request_id=next(self._ids), received_ns=time.time_ns())
        outcome = await self._enqueue(envelope)
        if isinstance(outcome, HubError):
            raise outcome
        return outcome

    def _check_room(self, size: int) -> None:
        if self._closed:
            raise Unavailable("The hub is shutting down. Send again in a moment.", 1.0)
        if self._pending + size > self._settings.max_pending_bytes:
            raise Overloaded(
                f"{self._pending} bytes wait to be stored, collector.max_pending_bytes is "
                f"{self._settings.max_pending_bytes}. Send again later.",
                1.0,
            )

    def _account(self, size: int) -> None:
        self._pending += size
        self._metrics.pending_bytes.set(self._pending)

    async def _enqueue(self, envelope: Envelope) -> Outcome:
        loop = asyncio.get_running_loop()
        queue = self._queues[envelope.signal]
        future: asyncio.Future[Outcome] = loop.create_future()
        queue.add(envelope, future)
        self._account(len(envelope.data))
        if queue.size >= self._settings.batch_bytes:
            self._start_insert(envelope.signal)
        elif queue.timer is None:
            delay = max(self._settings.flush_seconds, queue.insert_seconds)
            queue.timer = loop.call_later(delay, self._start_insert, envelope.signal)
        return await future

    def _start_insert(self, signal: Signal) -> None:
        """Insert what waits, or leave it to grow while all insert threads are busy: an insert has a
        fixed cost, so the busier the store the larger its batches should be."""
        queue = self._queues[signal]
        if len(self._tasks) >= self._settings.concurrent_inserts:
            queue.due = True
            return
        batch = queue.take(self._settings.max_batch_bytes)
        if batch:
            task = asyncio.create_task(self._insert(batch))
            self._tasks.add(task)
            task.add_done_callback(self._inserted)

    def _inserted(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        for signal, queue in self._queues.items():
            if queue.due:
                self._start_insert(signal)

    async def _insert(self, batch: list[Waiting]) -> None:
        envelopes = [envelope for envelope, _ in batch]
        started = time.perf_counter()
        outcomes: dict[int, Outcome] = {}
        try:
            outcomes = await asyncio.get_running_loop().run_in_executor(self._threads, self._writer.write, envelopes)
        finally:
            self._queues[envelopes[0].signal].insert_seconds = min(time.perf_counter() - started, _MAX_PACE_SECONDS)
            for envelope, future in batch:
                self._account(-len(envelope.data))
                if not future.done():  # the sender may have gone
                    future.set_result(outcomes.get(envelope.request_id) or _NO_OUTCOME)


_NO_OUTCOME = Unavailable("The hub could not store the request. Send again.", 1.0)
_OUTCOMES: dict[type[HubError], str] = {
    InvalidRequest: "invalid",
    Overloaded: "overloaded",
    Unavailable: "unavailable",
}


@dataclass
class _Queue:
    """What waits to be inserted for one signal; `due` when it has waited long enough."""

    waiting: deque[Waiting] = field(default_factory=deque)
    size: int = 0
    due: bool = False
    insert_seconds: float = 0.0
    timer: asyncio.TimerHandle | None = None

    def add(self, envelope: Envelope, future: asyncio.Future[Outcome]) -> None:
        self.waiting.append((envelope, future))
        self.size += len(envelope.data)

    def take(self, max_bytes: int) -> list[Waiting]:
        """The longest waiting up to `max_bytes`, at least one if there is any."""
        batch: list[Waiting] = []
        taken = 0
        while self.waiting and (not batch or taken + len(self.waiting[0][0].data) <= max_bytes):
            batch.append(self.waiting.popleft())
            taken += len(batch[-1][0].data)
        self.size -= taken
        self.due = bool(self.waiting)
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        return batch
