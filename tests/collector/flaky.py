"""A store that fails on purpose."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from storage.embedded import EmbeddedStore
from storage.store import StoreError

SHORT_OF_MEMORY = StoreError.clickhouse(
    241, "MEMORY_LIMIT_EXCEEDED", "memory limit exceeded: While executing ProtobufRowInputFormat"
)
TOO_MANY_PARTS = StoreError.clickhouse(252, "TOO_MANY_PARTS", "Too many parts")


class FlakyStore:
    """The real store. Inserts of telemetry fail with `error` while there is one and `matches` the data, before or
    (`late`) after they were committed, and wait for `gate`, which is closed at first if it `hangs`: `begun` counts those
    that came to it. Its disk waits for `flush_gate`, and `flushes` counts what has reached it."""

    def __init__(
        self, store: EmbeddedStore, error: Exception | None = None, *, late: bool = False, hangs: bool = False
    ) -> None:
        self._store = store
        self.error = error
        self.late = late
        self.matches: Callable[[bytes], bool] = lambda data: True
        self.begun = 0
        self.inserts: list[str] = []
        self.gate = threading.Event()
        if not hangs:
            self.gate.set()
        self.flushes = 0
        self.flush_gate = threading.Event()
        self.flush_gate.set()

    def insert(self, table: str, *data: bytes, fmt: str, settings: Mapping[str, str | int] | None = None) -> None:
        if table.startswith("otlp_"):
            self.begun += 1
            self.gate.wait(20)
            self.inserts.append(table)
            fails = self.error is not None and self.matches(b"".join(data))
            if not fails or self.late:
                self._store.insert(table, *data, fmt=fmt, settings=settings)
            if fails and self.error is not None:
                raise self.error
        else:
            self._store.insert(table, *data, fmt=fmt, settings=settings)

    def flush(self) -> None:
        self.flush_gate.wait(20)
        self._store.flush()
        self.flushes += 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)
