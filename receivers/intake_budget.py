"""The memory that requests may take while they arrive and are decoded, shared by all receivers."""

from __future__ import annotations

from types import TracebackType

from receivers.intake import Refusal, Refused

SETTING = "receivers.max_intake_bytes"
DEFAULT_BYTES = 256 << 20


class IntakeBudget:
    """Counts bytes between the socket and the collector, which counts them from then on. Not thread-safe."""

    def __init__(self, max_bytes: int = DEFAULT_BYTES) -> None:
        self._max_bytes = max_bytes
        self.used = 0

    def lease(self) -> Lease:
        return Lease(self)

    def take(self, size: int) -> None:
        """Raises Refused, NO_ROOM, when `size` bytes more are too many."""
        if self.used + size > self._max_bytes:
            raise Refused(
                Refusal.NO_ROOM,
                f"The hub is receiving as many bytes as {SETTING} allows ({self._max_bytes}). Send again later.",
            )
        self.used += size

    def give_back(self, size: int) -> None:
        self.used -= size


class Lease:
    """What one request holds of the budget; given back at the end of the `with` block."""

    def __init__(self, budget: IntakeBudget) -> None:
        self._budget = budget
        self._size = 0

    def grow(self, size: int) -> None:
        """Raises Refused, NO_ROOM, when `size` bytes more are too many."""
        self._budget.take(size)
        self._size += size

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget.give_back(self._size)
        self._size = 0


class RequestSlots:
    """How many requests one receiver has under way. Not thread-safe."""

    def __init__(self, limit: int, setting: str) -> None:
        self._limit = limit
        self._setting = setting
        self.used = 0

    def __enter__(self) -> None:
        """Raises Refused, NO_ROOM, when all are taken."""
        if self.used >= self._limit:
            raise Refused(
                Refusal.NO_ROOM,
                f"As many requests are under way as {self._setting} allows ({self._limit}). Send again later.",
            )
        self.used += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.used -= 1
