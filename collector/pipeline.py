"""From receivers to the store: check, batch, spool, insert, acknowledge."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from math import inf
from typing import TypeVar

from collector.dead_letters import DeadLetter
from collector.delivery import RETRY_SECONDS, Delivery, Waiting, earliest_deadline, overloaded
from collector.duplicates import RecentRequests, digest_of
from collector.envelope import check_framing
from collector.errors import HubError, Overloaded, Unavailable, fresh
from collector.failures import describe
from collector.fairness import FairQueue, Share
from collector.ledger import Entry, Ledger
from collector.letterbox import Letterbox
from collector.metrics import CollectorMetrics
from collector.settings import PipelineSettings
from collector.signals import Signal
from collector.spool.files import FIRST_ID_BITS
from collector.spool.spool import Accepted, Batch, Spool
from collector.writer import Acknowledgement, Outcome
from storage.store import StoreError

__all__ = ["Acknowledgement", "Pipeline", "Signal"]

log = logging.getLogger(__name__)

T = TypeVar("T")

# Neither an insert that is under way, nor the pause after it, nor a backlog makes a request wait longer than this for its own
# insert.
_MAX_PACE_SECONDS = 0.6
# A batch is large from this share of `batch_bytes` on.
_LARGE = 1 / 32
# How often to look whether what waits had better begin.
_LOOK_SECONDS = 0.1
# From this share of `max_pending_bytes` on, requests that are safe in the spool are read from there when their turn comes.
_MEMORY_SHARE = 3 / 8
# When the spool is that full, too, senders are slowed down.
_SPOOL_SHARE = 1 / 4
# One tenant alone gets four fifths, see fairness.Share.
_NEARLY_FULL = 0.75


class Pipeline:
    """Takes requests on one event loop and acknowledges each after its batch is committed or safe on disk.

    Memory is bounded by `max_pending_bytes` and `max_pending_requests`. Not thread-safe.
    """

    def __init__(
        self,
        delivery: Delivery,
        spool: Spool,
        ledger: Ledger,
        letterbox: Letterbox,
        metrics: CollectorMetrics,
        settings: PipelineSettings,
        recovered: Callable[[], Awaitable[None]],
    ) -> None:
        """`recovered` returns when what earlier processes have left in their spools is stored."""
        self._delivery = delivery
        self._spool = spool
        self._ledger = ledger
        self._letterbox = letterbox
        self._metrics = metrics
        # Finding an instrument by its labels takes longer than counting with it.
        self._received_bytes = cache(metrics.received_bytes.labels)
        self._outcomes = cache(metrics.requests.labels)
        self._ack_seconds = cache(metrics.ack_seconds.labels)
        self._settings = settings
        self._recovered = recovered
        self._recent = RecentRequests(settings.duplicate_seconds, settings.duplicate_requests)
        self._queues = {signal: _Queue() for signal in Signal}
        self._bytes = Share(settings.max_pending_bytes)
        self._requests = Share(settings.max_pending_requests)
        self._closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        metrics.pending_bytes.set_function(lambda: self._bytes.held)
        metrics.duplicate_window_seconds.set_function(lambda: self.duplicate_window_seconds)

    async def start(self, digests: Iterable[bytes] = ()) -> None:
        """Take up what is in the spool; `digests` are of requests stored a short while ago. Raises SpoolError."""
        self._recent.remember(digests)
        await self._delivery.recover(self.remember)

    def remember(self, batch: Batch) -> None:
        """Recognise the requests of a batch that an earlier process accepted when they are repeated."""
        oldest_ns = time.time_ns() - int(self._settings.duplicate_seconds * 1e9)
        self._recent.remember(each.digest for each in batch.envelopes if each.received_ns >= oldest_ns)

    async def submit(
        self, signal: Signal, tenant: str, body: bytes, digest: bytes | None = None, *, until_stored: bool = False
    ) -> Acknowledgement:
        """Store one Export*ServiceRequest. Returns when it is committed or, unless it waits `until_stored`, safe in the
        spool. It is recognised when it is repeated by `digest`, 16 bytes, by default one of tenant, signal and body.

        Raises InvalidRequest, Overloaded or Unavailable; on the last two the sender may send again.
        """
        started = time.perf_counter()
        self._received_bytes(signal).inc(len(body))
        self._ledger.record(tenant, signal, Entry.RECEIVED)
        outcome = "failed"
        try:
            acknowledgement = await self._take(signal, tenant, body, digest, until_stored)
            outcome = "partial" if acknowledgement.rejected else "stored"
            self._ledger.record(tenant, signal, Entry.ACKNOWLEDGED)
            return acknowledgement
        except HubError as error:
            outcome = error.outcome
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            self._outcomes(signal, outcome).inc()
            self._ack_seconds(signal).observe(time.perf_counter() - started)

    async def dead_letter(self, signal: Signal, tenant: str, body: bytes, reason: str) -> None:
        """Keep bytes that a receiver cannot make a request of, where there is no sender to refuse them to. Returns when
        they are on the store's disk; raises Unavailable when they are not."""
        digest = digest_of(signal, tenant, body)
        # The same bytes again are the same letter: who has them may not have learnt that they are kept. Nobody can make
        # others of the same id.
        request_id = int.from_bytes(sha256(digest + body).digest()[:8]) % (1 << FIRST_ID_BITS)
        letter = DeadLetter(request_id, tenant, signal, time.time_ns(), reason, 0, body, digest)
        self._ledger.record(tenant, signal, Entry.RECEIVED)
        self._ledger.under_way([(tenant, signal)], 1)
        try:
            await self._letterbox.keep(letter)
        except StoreError as error:
            self._ledger.refuse(tenant, signal, "unavailable")
            log.error("a dead letter could not be kept", extra={"error": describe(error)})
            raise Unavailable("The store does not take dead letters now. Send again.", RETRY_SECONDS) from error
        except BaseException:
            self._ledger.refuse(tenant, signal, "cancelled")
            raise
        else:
            self._ledger.record(tenant, signal, Entry.DEAD_LETTERED)
        finally:
            self._ledger.under_way([(tenant, signal)], -1)

    def refused(self, signal: str, reason: str) -> None:
        """Count a request that a receiver has refused by itself; `signal` is a Signal or EVENTS, `reason` from a small
        fixed set."""
        self._metrics.refused.labels(signal, reason).inc()
        self._ledger.refused_at_door(signal, reason)

    @property
    def duplicate_window_seconds(self) -> float:
        """How far back a repeated request is recognised now."""
        return self._recent.window_seconds

    def problem(self) -> str:
        """Why the pipeline takes nothing now, '' when it does."""
        if self._closing:
            return "the hub is shutting down"
        if self._bytes.held >= self._bytes.total * _NEARLY_FULL:
            return f"{self._bytes.held} bytes wait to be stored, near collector.max_pending_bytes; the store is slow"
        return self._spool.problem()

    async def flush(self) -> None:
        """Write what waits, and wait until everything submitted so far has its outcome."""
        while self._tasks or any(queue.requests for queue in self._queues.values()):
            for signal in Signal:
                self._begin(signal)
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    async def close(self, patience: float = 5.0) -> None:
        """Refuse new requests, write what waits: into the store within about `patience` seconds, into the spool
        otherwise. Idempotent."""
        self._closing = True
        await self.flush()
        await self._delivery.close(patience)
        self._spool.close()

    async def _take(
        self, signal: Signal, tenant: str, body: bytes, digest: bytes | None, until_stored: bool
    ) -> Acknowledgement:
        if not body:
            self._ledger.record(tenant, signal, Entry.STORED)
            return Acknowledgement()
        try:
            if self._closing:
                raise Unavailable("The hub is shutting down. Send again in a moment.", RETRY_SECONDS)
            digest = digest or digest_of(signal, tenant, body)
            known = self._recent.find(digest)
            if known is None:
                waiting = self._accept(signal, tenant, body, digest, until_stored)
        except HubError as error:
            self._ledger.refuse(tenant, signal, error.outcome)
            raise
        if known is not None:
            return await self._repeated(signal, tenant, known, until_stored)
        # Whoever waits may go; the request, and others that wait for the same one, do not.
        return _acknowledgement(await asyncio.shield(waiting.outcome))

    async def _repeated(
        self, signal: Signal, tenant: str, known: asyncio.Future[Outcome] | Acknowledgement, until_stored: bool
    ) -> Acknowledgement:
        outcome: Outcome
        if isinstance(known, asyncio.Future):
            outcome = await self._wait(signal, tenant, asyncio.shield(known))
        else:
            outcome = known
            if until_stored:  # it may be known because an earlier process has left it in the spool
                await self._wait(signal, tenant, self._recovered())
        if isinstance(outcome, HubError):
            self._ledger.refuse(tenant, signal, "repeated")
        else:
            self._ledger.record(tenant, signal, Entry.DUPLICATE)
        return _acknowledgement(outcome)

    async def _wait(self, signal: Signal, tenant: str, event: Awaitable[T]) -> T:
        self._ledger.under_way([(tenant, signal)], 1)
        try:
            return await event
        except asyncio.CancelledError:
            self._ledger.refuse(tenant, signal, "cancelled")
            raise
        finally:
            self._ledger.under_way([(tenant, signal)], -1)

    def _accept(self, signal: Signal, tenant: str, body: bytes, digest: bytes, until_stored: bool) -> Waiting:
        check_framing(signal, body)
        self._admit(tenant, len(body))
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        request = Accepted(signal, tenant, body, time.time_ns(), digest)
        waiting = Waiting(request, future, loop.time() + self._settings.ack_seconds, until_stored)
        self._recent.begin(digest, future)
        future.add_done_callback(lambda done: self._recent.end(digest, done.result()))
        self._ledger.under_way([(tenant, signal)], 1)
        self._enqueue(signal, waiting)
        return waiting

    def _admit(self, tenant: str, size: int) -> None:
        if problem := self._spool.problem():
            raise overloaded(problem)
        if not self._requests.take(tenant, 1):
            raise self._too_much(tenant, f"{self._requests.held} requests", "max_pending_requests")
        if not self._bytes.take(tenant, size):
            self._requests.give_back(tenant, 1)
            raise self._too_much(tenant, f"{self._bytes.held} bytes", "max_pending_bytes")

    def _too_much(self, tenant: str, held: str, setting: str) -> Overloaded:
        return Overloaded(
            f"{held} wait to be stored, and tenant {tenant} has its share of collector.{setting}, "
            f"{getattr(self._settings, setting)}. Send again later.",
            RETRY_SECONDS,
        )

    def _enqueue(self, signal: Signal, waiting: Waiting) -> None:
        queue = self._queues[signal]
        if not queue.requests:
            queue.first = asyncio.get_running_loop().time()
        queue.requests.add(waiting)
        self._begin_or_wait(signal)

    def _begin_or_wait(self, signal: Signal) -> None:
        queue = self._queues[signal]
        if queue.requests.size >= self._settings.batch_bytes:
            self._begin(signal)
        elif queue.timer is None and not queue.starting:
            wait = min(self._settings.flush_seconds, _LOOK_SECONDS)
            queue.timer = asyncio.get_running_loop().call_later(wait, self._look, signal)

    def _look(self, signal: Signal) -> None:
        loop = asyncio.get_running_loop()
        due = self._due(signal)
        if due <= loop.time():
            self._begin(signal)
        else:
            self._queues[signal].timer = loop.call_at(min(due, loop.time() + _LOOK_SECONDS), self._look, signal)

    def _due(self, signal: Signal) -> float:
        """When what waits for company has waited long enough."""
        queue = self._queues[signal]
        if self._gathers(signal):
            return queue.first
        # What waits in the spool is inserted batch by batch: the fewer, the sooner the hub has caught up.
        rest_until = inf if self._delivery.backlog else self._delivery.rest_until(signal)
        return max(queue.first + self._settings.flush_seconds, min(rest_until, queue.first + _MAX_PACE_SECONDS))

    def _begin(self, signal: Signal) -> None:
        """Start a batch, unless one is waiting for its turn already: the busier the store, the larger batches become,
        for an insert has a fixed cost."""
        queue = self._queues[signal]
        queue.stop_timer()
        if queue.requests and not queue.starting:
            queue.starting = True
            task = asyncio.create_task(self._carry(signal, queue))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, signal: Signal, queue: _Queue) -> None:
        slot = not self._gathers(signal) and await self._delivery.slot(self._patience(queue))
        batch = queue.requests.take(self._settings.batch_bytes)
        queue.starting = False
        if queue.requests:
            queue.first = asyncio.get_running_loop().time()
            self._begin_or_wait(signal)
        try:
            await self._delivery.deliver(
                signal, batch, self._answer_by(batch), slot=slot, keep=not self._memory_is_full
            )
        finally:
            for each in batch:
                self._requests.give_back(each.tenant, 1)
                self._bytes.give_back(each.tenant, each.size)

    def _patience(self, queue: _Queue) -> float:
        """How long the batch may wait for its insert: until its first request must be answered."""
        if self._closing:
            return min(self._settings.ack_seconds, 1.0)
        return self._answer_by(queue.requests) - asyncio.get_running_loop().time()

    def _answer_by(self, batch: Iterable[Waiting]) -> float:
        """When whoever sent the first request is answered, committed or not, on the clock of the event loop."""
        deadline = earliest_deadline(batch)
        if self._is_large(sum(each.size for each in batch)) and not self._is_crowded:
            deadline -= max(0.0, self._settings.ack_seconds - self._settings.busy_ack_seconds)
        return deadline

    def _gathers(self, signal: Signal) -> bool:
        """Whether what waits goes into the spool at once, to be inserted later with what comes after it."""
        if self._is_crowded or not self._is_large(self._queues[signal].requests.size):
            return False
        return self._memory_is_full or self._delivery.is_gathering(signal)

    def _is_large(self, size: int) -> bool:
        return size >= self._settings.batch_bytes * _LARGE

    @property
    def _memory_is_full(self) -> bool:
        """Whether what is safe in the spool had better wait there alone."""
        return self._bytes.held >= self._bytes.total * _MEMORY_SHARE

    @property
    def _is_crowded(self) -> bool:
        """Whether so much waits that senders should slow down."""
        return self._memory_is_full and self._spool.size_bytes >= self._settings.spool.max_bytes * _SPOOL_SHARE


@dataclass
class _Queue:
    """What waits to be written for one signal. Times are on the clock of the event loop."""

    requests: FairQueue[Waiting] = field(default_factory=FairQueue)
    first: float = 0.0
    """When the first of the requests came."""
    starting: bool = False
    """A batch waits for its turn."""
    timer: asyncio.TimerHandle | None = None

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


def _acknowledgement(outcome: Outcome) -> Acknowledgement:
    if isinstance(outcome, HubError):
        raise fresh(outcome)
    return outcome
