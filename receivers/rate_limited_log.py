"""Warnings that whoever sends can cause at will: a few of them tell the operator as much as all, and fill no disk."""

from __future__ import annotations

import logging
import time
from typing import Any

_SECONDS = 60.0


class RateLimitedLog:
    """Writes one warning a minute for each `key`, and with it how many were left out since the last one. Keys are from a
    small fixed set. Not thread-safe."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._next: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def warning(self, key: str, text: str, **extra: Any) -> None:
        now = time.monotonic()
        if now < self._next.get(key, now):
            self._left_out[key] = self._left_out.get(key, 0) + 1
            return
        self._next[key] = now + _SECONDS
        self._log.warning(text, extra={**extra, "left_out": self._left_out.pop(key, 0)})
