"""Tenants share what the hub has: how much of it one may hold, and whose turn it is."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

_ALPHA = 4
# A tenant's turn: requests of this many bytes, or one larger one.
_QUANTUM_BYTES = 64 * 1024


class Share:
    """`total` of something, shared by dynamic thresholds: a tenant may hold `_ALPHA` times what is free. Alone it gets
    four fifths, and however many are greedy, something is left for one more. Not thread-safe.

    A. Choudhury, E. Hahne, Dynamic Queue Length Thresholds for Shared-Memory Packet Switches, IEEE/ACM ToN 6(2), 1998.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.held = 0
        self._by_tenant: Counter[str] = Counter()

    def take(self, tenant: str, amount: int) -> bool:
        """Whether `tenant` gets `amount` more."""
        mine = self._by_tenant[tenant]
        if self.held + amount > self.total or (mine and mine + amount > _ALPHA * (self.total - self.held)):
            return False
        self.held += amount
        self._by_tenant[tenant] = mine + amount
        return True

    def give_back(self, tenant: str, amount: int) -> None:
        self.held -= amount
        self._by_tenant[tenant] -= amount
        if not self._by_tenant[tenant]:
            del self._by_tenant[tenant]


class Sized(Protocol):
    @property
    def tenant(self) -> str: ...

    @property
    def size(self) -> int: ...


T = TypeVar("T", bound=Sized)


class FairQueue(Generic[T]):
    """Served tenant by tenant, within a tenant in order: deficit round robin, so that who sends much waits for himself."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[T]] = {}
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self._queues)

    def __iter__(self) -> Iterator[T]:
        return (item for queue in self._queues.values() for item in queue)

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def add(self, item: T) -> None:
        self._queues.setdefault(item.tenant, deque()).append(item)
        self.size += item.size

    def take(self, max_bytes: int) -> list[T]:
        """Up to `max_bytes`, at least one item if there is any."""
        taken: list[T] = []
        room = max_bytes
        while self._queues and (not taken or room > 0):
            tenant = next(iter(self._queues))
            queue = self._queues.pop(tenant)
            if taken and queue[0].size > room:
                self._queues = {tenant: queue, **self._queues}
                break
            room -= self._turn(queue, room, taken)
            if queue:
                self._queues[tenant] = queue  # behind the others
        self.size -= sum(item.size for item in taken)
        return taken

    @staticmethod
    def _turn(queue: deque[T], room: int, taken: list[T]) -> int:
        """One tenant's turn: at least one item."""
        used = 0
        while queue and (used == 0 or (used < _QUANTUM_BYTES and used + queue[0].size <= room)):
            taken.append(queue.popleft())
            used += max(taken[-1].size, 1)
        return used
