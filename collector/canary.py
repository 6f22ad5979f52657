"""A span of the hub's own, sent the way of all spans and looked for in the store: does it arrive, and how long does it take?"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from contextlib import suppress
from typing import Protocol

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.errors import HubError
from collector.metrics import CollectorMetrics
from collector.signals import Signal
from collector.writer import Acknowledgement
from storage.store import Store, StoreError

log = logging.getLogger(__name__)

TENANT = "llmhub"
SERVICE = "llmhub.canary"
_SPAN = "canary"
# Between two looks at the store: soon at first, so that the lag is exact.
_LOOK_SECONDS = (0.1, 2.0)
_GIVE_UP_SECONDS = 3600.0
# By the primary key: a few granules are read.
_SEEN_SQL = (
    "SELECT count() AS n FROM otel_traces WHERE Tenant = {tenant:String} AND ServiceName = {service:String} "
    "AND SpanName = {span:String} AND Timestamp >= fromUnixTimestamp64Nano({start:Int64}) AND TraceId = {trace_id:String}"
)


class Submit(Protocol):
    """`Pipeline.submit`."""

    async def __call__(self, signal: Signal, tenant: str, body: bytes) -> Acknowledgement: ...


class Canary:
    """One span every `seconds`, the next one only when the last has been seen or is an hour late. Runs on the event loop
    of `submit`; it is counted and balanced as every tenant's, under the tenant TENANT."""

    def __init__(self, store: Store, submit: Submit, metrics: CollectorMetrics, seconds: float) -> None:
        self._store = store
        self._submit = submit
        self._seconds = seconds
        self._metrics = metrics
        self.failures = 0
        self._sent: float | None = None
        self._lag = 0.0
        self._task: asyncio.Task[None] | None = None
        metrics.canary_lag_seconds.set_function(lambda: self.lag_seconds)

    @property
    def lag_seconds(self) -> float:
        """From sending to seeing, of the last span, or of the one that is on its way if that takes longer; 0 before."""
        return max(self._lag, time.monotonic() - self._sent if self._sent is not None else 0.0)

    def start(self) -> None:
        """Nothing happens with `seconds` 0."""
        if self._seconds > 0:
            self._task = asyncio.create_task(self._sing())

    def stop(self) -> None:
        """Idempotent."""
        if self._task is not None:
            self._task.cancel()

    def _fail(self) -> None:
        self.failures += 1
        self._metrics.canary_failures.inc()

    async def _sing(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            try:
                await self._send()
            except Exception:
                log.exception("the canary failed unexpectedly")
                self._fail()

    async def _send(self) -> None:
        trace_id, start_ns = os.urandom(16), time.time_ns()
        self._sent = time.monotonic()
        try:
            await self._submit(Signal.TRACES, TENANT, _request(trace_id, start_ns))
        except HubError as error:
            self._fail()
            log.warning("the canary was refused", extra={"error": str(error)})
        else:
            await self._look(trace_id.hex(), start_ns)
        self._lag, self._sent = time.monotonic() - self._sent, None

    async def _look(self, trace_id: str, start_ns: int) -> None:
        """Until the span is there, counting a failure for each further `seconds` that it is not."""
        assert self._sent is not None
        pause, longest = _LOOK_SECONDS
        failures = 0
        while not await asyncio.to_thread(self._is_there, trace_id, start_ns):
            late = time.monotonic() - self._sent
            if late > (failures + 1) * self._seconds:
                failures += 1
                self._fail()
                log.warning("the canary has not been seen in the store yet", extra={"trace_id": trace_id, "seconds": round(late)})  # fmt: skip
            if late > _GIVE_UP_SECONDS:
                log.error("the canary was acknowledged and is not in the store", extra={"trace_id": trace_id})
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)

    def _is_there(self, trace_id: str, start_ns: int) -> bool:
        names = {"tenant": TENANT, "service": SERVICE, "span": _SPAN, "trace_id": trace_id}
        with suppress(StoreError):
            return bool(self._store.rows(_SEEN_SQL, params={**names, "start": str(start_ns)})[0]["n"])
        return False


def _request(trace_id: bytes, start_ns: int) -> bytes:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = SERVICE
    resource.scope_spans.add().spans.add(
        trace_id=trace_id,
        span_id=os.urandom(8),
        name=_SPAN,
        start_time_unix_nano=start_ns,
        end_time_unix_nano=start_ns,
    )
    return request.SerializeToString()
