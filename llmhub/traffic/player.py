"""Sends exports to an OTLP gRPC endpoint, as fast as they are acknowledged or when they are due."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType

import grpc

from llmhub.traffic.errors import PlayerError
from llmhub.traffic.exports import Export
from llmhub.traffic.totals import Totals, judged

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

# gRPC allows at most five attempts. See https://grpc.io/docs/guides/retry/.
_SERVICE_CONFIG = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": "opentelemetry.proto.collector.trace.v1.TraceService"}],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.2s",
                    "maxBackoff": "5s",
                    "backoffMultiplier": 2.5,
                    "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
                },
            }
        ]
    }
)
# A call larger than this buffer (256 KiB unless set) is not retried, and exports are larger.
_RETRY_BUFFER_BYTES = 64 * 1024 * 1024
_STOP_CHECK_S = 0.2
_LIVE_GRACE_S = 5.0


Progress = Callable[[Totals], None]


def _ignore(_: Totals) -> None:
    pass


class Player:
    """A connection to one endpoint. One `backfill` or `live` at a time; close it when done, or use `with`.

    At most `in_flight` exports are on the way, so memory is bounded by that many bodies. UNAVAILABLE and
    RESOURCE_EXHAUSTED are retried with backoff within `timeout` seconds an export.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        headers: Mapping[str, str] | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        in_flight: int = 8,
        timeout: float = 60.0,
        give_up_after: int = 16,
    ) -> None:
        options = [
            ("grpc.service_config", _SERVICE_CONFIG),
            ("grpc.per_rpc_retry_buffer_size", _RETRY_BUFFER_BYTES),
        ]
        self._endpoint = endpoint
        self._channel = (
            grpc.secure_channel(endpoint, credentials, options)
            if credentials is not None
            else grpc.insecure_channel(endpoint, options)
        )
        self._send: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(METHOD)
        self._metadata = tuple((key.lower(), value) for key, value in (headers or {}).items())
        self._in_flight = in_flight
        self._timeout = timeout
        self._give_up_after = give_up_after

    def backfill(self, exports: Iterable[Export], progress: Progress = _ignore) -> Totals:
        """Sends all, as fast as they are acknowledged; returns when each has its answer.

        `progress` is called after each answer, by one thread at a time. Raises PlayerError when
        `give_up_after` exports in a row were given up.
        """
        run = _Run(self._in_flight, progress)
        for export in exports:
            run.slots.acquire()
            self._start(run, export)
            if run.totals.failed_in_a_row >= self._give_up_after:
                break
        totals = run.finish()
        if totals.failed_in_a_row >= self._give_up_after:
            raise PlayerError(
                f"{totals.failed_in_a_row} exports in a row were not taken by {self._endpoint}: {totals.error}. "
                "Check that the hub runs there and that its OTLP gRPC port is the one given"
            )
        return totals

    def live(
        self,
        exports: Iterable[Export],
        stop_event: threading.Event,
        progress: Progress = _ignore,
        *,
        speed: float | None = None,
    ) -> Totals:
        """Sends each export when it is due, until `stop_event` is set or they end; failures are counted, never raised.

        Without `speed` an export goes out at its due time, at once when that has passed. With `speed` the
        first goes out now and the others at their distance from it divided by `speed`. After a stop the answers
        under way have five seconds.
        """
        run = _Run(self._in_flight, progress)
        origin: tuple[float, float] | None = None
        for export in exports:
            if speed is None:
                wait = export.due - time.time()
            else:
                origin = origin or (export.due, time.monotonic())
                wait = origin[1] + (export.due - origin[0]) / speed - time.monotonic()
            if stop_event.wait(max(wait, 0)) or not run.slot_unless(stop_event):
                break
            self._start(run, export)
        return run.finish(_LIVE_GRACE_S if stop_event.is_set() else None)

    def close(self) -> None:
        """Idempotent."""
        self._channel.close()

    def __enter__(self) -> "Player":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, run: "_Run", export: Export) -> None:
        """Takes over the slot that the caller has acquired."""
        future = self._send.future(export.body, timeout=self._timeout, metadata=self._metadata)
        future.add_done_callback(lambda done: run.answered(export, done))


class _Run:
    """The bookkeeping of one backfill or live: slots for what is in flight, totals of what was answered."""

    def __init__(self, in_flight: int, progress: Progress) -> None:
        self.slots = threading.Semaphore(in_flight)
        self.totals = Totals()
        self._in_flight = in_flight
        self._progress = progress
        self._lock = threading.Lock()

    def answered(self, export: Export, answer: "grpc.Future[bytes]") -> None:
        try:
            with self._lock:
                self.totals = judged(self.totals, export, answer)
                self._progress(self.totals)
        finally:
            self.slots.release()

    def slot_unless(self, stop_event: threading.Event) -> bool:
        """Waits for a free slot; False when stopped before there was one."""
        while not self.slots.acquire(timeout=_STOP_CHECK_S):
            if stop_event.is_set():
                return False
        return True

    def finish(self, grace: float | None = None) -> Totals:
        """Waits for the answers under way, at most `grace` seconds; what is late is not in the totals."""
        deadline = None if grace is None else time.monotonic() + grace
        for _ in range(self._in_flight):
            left = None if deadline is None else max(deadline - time.monotonic(), 0)
            if not self.slots.acquire(timeout=left):
                break
        with self._lock:
            return self.totals
