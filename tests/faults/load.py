"""Senders that behave like SDKs, and a record of every span that was acknowledged."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any

import grpc

from collector.signals import Signal
from receivers.otlp_grpc import SERVICES
from tests.collector.requests import call, span, traces
from tests.hub.process import until

_METHOD = f"/{SERVICES[Signal.TRACES]}/Export"
# A hub that comes back is found at once and not after gRPC's own minute of patience.
_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.use_local_subchannel_pool", 1),
]
# https://opentelemetry.io/docs/specs/otlp/#failures
_RETRYABLE = frozenset({
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
})  # fmt: skip
_SMALL, _LARGE = 8, 400
SENDERS = 12


class Load:
    """`senders` concurrent exporters to the gRPC port at `address`, each with a channel of its own, in a thread of its
    own event loop. A failed export is sent again, the same bytes, until it is acknowledged or the load ends.

    `acknowledged` holds 'trace id:span id' in hexadecimal digits, `refusals` the codes of the failures, `slowest` the
    seconds of the slowest acknowledged attempt.
    """

    def __init__(
        self,
        address: str,
        service: str,
        *,
        seed: int = 0,
        senders: int = SENDERS,
        pause: float = 0.02,
        timeout: Callable[[random.Random], float] = lambda rng: 10.0,
    ) -> None:
        self.acknowledged: set[str] = set()
        self.requests = 0
        self.refusals: Counter[grpc.StatusCode] = Counter()
        self.slowest = 0.0
        self.unexpected: list[str] = []
        self._address = address
        self._service = service
        self._seed = seed
        self._senders = senders
        self._pause = pause
        self._timeout = timeout
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:  # fmt: skip
        self.stop()

    def stop(self) -> None:
        """Let every sender end its attempt. What is not acknowledged by then, nobody was promised."""
        self._stopping.set()
        self._thread.join()

    async def _run(self) -> None:
        await asyncio.gather(*(self._send(random.Random(self._seed * 1000 + n)) for n in range(self._senders)))

    async def _send(self, rng: random.Random) -> None:
        async with grpc.aio.insecure_channel(self._address, options=_OPTIONS) as channel:
            export: Any = channel.unary_unary(_METHOD)
            while not self._stopping.is_set():
                ids, body = self._request(rng)
                if await self._export(export, body, rng):
                    self.acknowledged.update(ids)
                    self.requests += 1
                await asyncio.sleep(self._pause * rng.random())

    async def _export(self, export: Any, body: bytes, rng: random.Random) -> bool:
        """Until it is acknowledged; False when the load ends first."""
        wait = 0.05
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                await export(body, timeout=self._timeout(rng))
                self.slowest = max(self.slowest, time.monotonic() - started)
                return True
            except grpc.aio.AioRpcError as error:
                self.refusals[error.code()] += 1
                if error.code() not in _RETRYABLE:
                    self.unexpected.append(f"{error.code()}: {error.details()}")
                    return False
            await asyncio.sleep(wait * (0.5 + rng.random()))
            wait = min(2 * wait, 0.4)
        return False

    def _request(self, rng: random.Random) -> tuple[list[str], bytes]:
        """Ids and bytes of a request. A third of its spans are model calls."""
        size = _LARGE if rng.random() < 0.05 else rng.randint(1, _SMALL)
        spans = [call() if number % 3 == 0 else span() for number in range(size)]
        ids = [f"{each.trace_id.hex()}:{each.span_id.hex()}" for each in spans]
        return ids, traces(*spans, service=self._service).SerializeToString()


def more(load: Load, requests: int, seconds: float = 20.0) -> bool:
    """Wait until that many more requests are acknowledged; False when it takes longer than `seconds`, or as many
    times as much as the number is above 100."""
    enough = load.requests + requests
    return bool(until(lambda: load.requests >= enough, seconds * max(requests / 100, 1)))
