"""The live tail: what is acknowledged, shown to whoever watches, as it arrives.

`Tail` stands before an Intake and is one. Nobody watching, it costs the look at an empty set. Somebody watching, it keeps
the bytes of what was acknowledged, within limits, and a task unpacks them with a bounded share of one core:
ingestion comes first, and what viewers miss is counted and told to them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge

from collector.pipeline import Acknowledgement, Signal
from receivers.intake import Intake
from receivers.tail_filter import Filter
from receivers.tail_records import Record, Shown, records
from receivers.threads import in_thread
from storage.content import ContentKeys

log = logging.getLogger(__name__)

# Unpacking works this long at a time, and rests seven times as long: an eighth of one core at most.
_STINT_SECONDS = 0.02
_REST = 7
# What trickles in is unpacked this often.
_PAUSE_SECONDS = 0.02
Body = tuple[Signal, str, bytes]


@dataclass(frozen=True)
class TailSettings:
    """Who may watch, and how much memory that takes: `pending_bytes` and `buffer_bytes` for each viewer."""

    enabled: bool = False
    """The API asks nobody for a password, and records carry what users' applications say about them."""
    max_viewers: int = 8
    buffer_bytes: int = 4 << 20
    """Records that wait for one slow viewer; what does not fit is dropped."""
    pending_bytes: int = 4 << 20
    """Requests that wait to be unpacked, one at least; what does not fit is skipped. A tail is for what happens now:
    with more waiting, it would show what happened a minute ago."""
    value_chars: int = 256
    content: bool = False
    allowed_origins: tuple[str, ...] = ()


class TailMetrics:
    """What the tail counts, in `registry`. Thread-safe."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.viewers = Gauge("llmhub_receivers_tail_viewers", "Viewers of the live tail", registry=registry)
        self.sent = Counter("llmhub_receivers_tail_sent", "Records sent to viewers", registry=registry)
        self.dropped = Counter(
            "llmhub_receivers_tail_dropped", "Records that a slow viewer has missed", registry=registry
        )
        self.skipped = Counter(
            "llmhub_receivers_tail_skipped_requests", "Requests too many to be unpacked for viewers", registry=registry
        )


class TooManyViewers(Exception):
    """api.tail.max_viewers are watching."""


class Viewer:
    """What waits to be sent to one viewer, bounded in bytes. Belongs to the event loop."""

    def __init__(self, wanted: Filter, limit: int, metrics: TailMetrics) -> None:
        self.filter = wanted
        self._limit = limit
        self._metrics = metrics
        self._waiting: deque[str] = deque()
        self._size = 0
        self._missed = {"dropped": 0, "skipped_requests": 0}
        self._news = asyncio.Event()

    def offer(self, message: str) -> None:
        if self._size + len(message) > self._limit:
            self._miss("dropped", self._metrics.dropped)
            return
        self._waiting.append(message)
        self._size += len(message)
        self._news.set()

    def skip(self) -> None:
        """Note a request that this viewer might have wanted to see."""
        self._miss("skipped_requests", self._metrics.skipped)

    async def next(self) -> str:
        """The next message, a record or what was missed; waits for one."""
        while not self._waiting and not any(self._missed.values()):
            self._news.clear()
            await self._news.wait()
        if self._waiting:
            message = self._waiting.popleft()
            self._size -= len(message)
            self._metrics.sent.inc()
            return message
        missed = {name: count for name, count in self._missed.items() if count}
        self._missed = dict.fromkeys(self._missed, 0)
        return json.dumps(missed)

    def _miss(self, what: str, counter: Counter) -> None:
        self._missed[what] += 1
        counter.inc()
        self._news.set()


class Tail:
    """An Intake before another one. Belongs to the event loop, as the other does."""

    def __init__(
        self, intake: Intake, settings: TailSettings, metrics: TailMetrics, content_keys: ContentKeys | None = None
    ) -> None:
        """`content_keys`: what is shown only where the settings say so; by default what is content by convention."""
        self._intake = intake
        self._settings = settings
        self._metrics = metrics
        self._viewers: set[Viewer] = set()
        self._shown = Shown(settings.value_chars, settings.content, content_keys or ContentKeys())
        self._unpacker = _Unpacker(self._shown)
        self._pending = 0
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def submit(self, signal: Signal, tenant: str, body: bytes, *, until_stored: bool = False) -> Acknowledgement:
        """As the Intake behind it, whose errors pass through."""
        acknowledgement = await self._intake.submit(signal, tenant, body, until_stored=until_stored)
        if self._viewers:
            self._offer(signal, tenant, body)
        return acknowledgement

    def refused(self, signal: str, reason: str) -> None:
        self._intake.refused(signal, reason)

    @contextmanager
    def watch(self, wanted: Filter) -> Iterator[Viewer]:
        """A viewer of what is acknowledged from now on. Raises TooManyViewers."""
        if len(self._viewers) >= self._settings.max_viewers:
            raise TooManyViewers(
                f"{len(self._viewers)} viewers are watching, the limit of api.tail.max_viewers. Close one, or raise it."
            )
        viewer = Viewer(wanted, self._settings.buffer_bytes, self._metrics)
        self._viewers.add(viewer)
        self._metrics.viewers.set(len(self._viewers))
        if self._task is None:
            self._start()
        try:
            yield viewer
        finally:
            self._viewers.discard(viewer)
            self._metrics.viewers.set(len(self._viewers))
            if not self._viewers:
                self._stop()

    def _start(self) -> None:
        # A new one each time: the old one may still be at work in its thread.
        self._unpacker = _Unpacker(self._shown)
        self._pending = 0
        self._task = asyncio.create_task(self._show(self._unpacker))

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._unpacker = _Unpacker(self._shown)

    def _offer(self, signal: Signal, tenant: str, body: bytes) -> None:
        interested = [viewer for viewer in self._viewers if viewer.filter.wants(signal, tenant)]
        if not interested:
            return
        if self._pending and self._pending + len(body) > self._settings.pending_bytes:
            for viewer in interested:
                viewer.skip()
            return
        self._unpacker.waiting.append((signal, tenant, body))
        self._pending += len(body)
        self._news.set()

    async def _show(self, unpacker: _Unpacker) -> None:
        """Hand out what waits, for as long as somebody watches."""
        while True:
            stint = await in_thread(unpacker.work, list(self._viewers))
            self._pending -= stint.taken_bytes
            for message, viewers in stint.messages:
                for viewer in viewers:
                    viewer.offer(message)
            await asyncio.sleep(max(_PAUSE_SECONDS, stint.seconds * _REST))
            if stint.all_done and not unpacker.waiting:
                self._news.clear()
                await self._news.wait()


@dataclass
class _Stint:
    """What came out of a piece of work: messages and who wants them, its CPU time, how much less waits now."""

    messages: list[tuple[str, list[Viewer]]]
    taken_bytes: int = 0
    seconds: float = 0.0
    all_done: bool = False


class _Unpacker:
    """Makes messages of the requests in `waiting`, one stint at a time and each in any thread."""

    def __init__(self, shown: Shown) -> None:
        self.waiting: deque[Body] = deque()
        self._shown = shown
        self._current: Iterator[Record] = iter(())

    def work(self, viewers: list[Viewer]) -> _Stint:
        """Raises nothing: a request that cannot be unpacked is left out, and the log says why."""
        stint = _Stint([])
        started = time.thread_time()
        while not stint.all_done and stint.seconds < _STINT_SECONDS:
            try:
                self._one(viewers, stint)
            except Exception:
                log.exception("a request cannot be shown in the live tail")
                self._current = iter(())
            stint.seconds = time.thread_time() - started
        return stint

    def _one(self, viewers: list[Viewer], stint: _Stint) -> None:
        record = next(self._current, None)
        if record is not None:
            glance, columns = record
            wanting = [viewer for viewer in viewers if viewer.filter.matches(glance)]
            if wanting:
                stint.messages.append((json.dumps(columns()), wanting))
        elif self.waiting:
            signal, tenant, body = self.waiting.popleft()
            stint.taken_bytes += len(body)
            self._current = records(signal, tenant, body, self._shown)
        else:
            stint.all_done = True
