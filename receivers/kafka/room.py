"""How much may be in flight."""

from __future__ import annotations

import threading

from prometheus_client import Gauge


class Room:
    """Counts messages and bytes that are taken and not yet finished. Thread-safe.

    The limits are checked before more is polled, so they are exceeded by one poll at most.
    """

    def __init__(self, max_messages: int, max_bytes: int, gauge: Gauge) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._gauge = gauge
        self._messages = 0
        self._bytes = 0
        self._changed = threading.Condition()

    def take(self, messages: int, size: int) -> None:
        with self._changed:
            self._messages += messages
            self._bytes += size
            self._gauge.set(self._bytes)

    def release(self, size: int) -> None:
        with self._changed:
            self._messages -= 1
            self._bytes -= size
            self._gauge.set(self._bytes)
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait until there is room; False when there is none after `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._below(1.0), seconds)

    def half_empty(self) -> bool:
        with self._changed:
            return self._below(0.5)

    def _below(self, share: float) -> bool:
        return self._messages < self._max_messages * share and self._bytes < self._max_bytes * share
