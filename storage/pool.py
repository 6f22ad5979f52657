"""Bounded lending of things that one thread may use at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from storage.store import StoreError

T = TypeVar("T")


class Gate:
    """At most `size` callers inside; `close` refuses new ones and waits for those inside. `what` names it in errors."""

    def __init__(self, what: str, size: int) -> None:
        self._what = what
        self._size = size
        self._inside = 0
        self._closed = False
        self._changed = threading.Condition()

    @contextmanager
    def admit(self, patience: float | None = None) -> Iterator[None]:
        """Enter, waiting at most `patience` seconds (None: for ever). Raises StoreError 202, or 236 when closed."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._closed or self._inside < self._size, patience):
                raise StoreError.clickhouse(
                    202,
                    "TOO_MANY_SIMULTANEOUS_QUERIES",
                    f"Too many simultaneous queries: all {self._size} {self._what} were busy for {patience:g} s.",
                )
            if self._closed:
                raise StoreError.clickhouse(236, "ABORTED", "The store is closed.")
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._inside == 0)


class Pool(Generic[T]):
    """Lends each of `items` to one thread at a time, the most recently used first."""

    def __init__(self, what: str, items: Sequence[T]) -> None:
        self._free = list(items)
        self._gate = Gate(what, len(self._free))

    @contextmanager
    def take(self, patience: float | None = None) -> Iterator[T]:
        """Borrow one; errors as in `Gate.admit`."""
        with self._gate.admit(patience):
            item = self._free.pop()
            try:
                yield item
            finally:
                self._free.append(item)

    def close(self, dispose: Callable[[T], None]) -> None:
        """Wait until everything is back, then `dispose` of each. Idempotent."""
        self._gate.close()
        while self._free:
            dispose(self._free.pop())
