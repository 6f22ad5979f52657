"""The ledger: what became of every request, by tenant and signal."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter as Counts
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from enum import StrEnum

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.registry import Collector

from collector.signals import Signal


class Entry(StrEnum):
    """`received` and `recovered` come in; each of them ends as one of the five below. `acknowledged` is told apart:
    what the sender was answered."""

    RECEIVED = "received"
    RECOVERED = "recovered"
    STORED = "stored"
    PRODUCED = "produced"
    DUPLICATE = "duplicate"
    DEAD_LETTERED = "dead_lettered"
    REFUSED = "refused"
    ACKNOWLEDGED = "acknowledged"


# A loop that does not come round in that time is no loop that anybody waits for; /metrics fails, as it should.
_PATIENCE_SECONDS = 10.0
_IN = (Entry.RECEIVED, Entry.RECOVERED)
_OUT = (Entry.STORED, Entry.PRODUCED, Entry.DUPLICATE, Entry.DEAD_LETTERED, Entry.REFUSED)
Account = tuple[str, Signal]


class Ledger(Collector):
    """Counts since the process started. Not thread-safe: one event loop writes it; /metrics may read it any time."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counts: Counts[tuple[str, Signal, Entry]] = Counts()
        self._open: Counts[Account] = Counts()
        self._reasons: Counts[tuple[str, str, str]] = Counts()
        balance = Gauge(
            "llmhub_ledger_imbalance",
            "Requests that came in and are neither accounted for nor under way: anything but 0 is a loss",
            registry=registry,
        )
        balance.set_function(self._settled_imbalance)
        registry.register(self)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    def belong_to(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on that loop, which is the caller's, alone writes."""
        self._loop, self._thread = loop, threading.get_ident()

    def record(self, tenant: str, signal: Signal, entry: Entry, requests: int = 1) -> None:
        self._counts[tenant, signal, entry] += requests

    def refuse(self, tenant: str, signal: Signal, reason: str) -> None:
        self.record(tenant, signal, Entry.REFUSED)
        self._reasons[tenant, signal.value, reason] += 1

    def refused_at_door(self, signal: str, reason: str) -> None:
        """A request that was refused before it was known whose it is: it is among the refusals, and has not come in."""
        self._reasons["", str(signal), reason] += 1

    def under_way(self, accounts: Iterable[Account], change: int) -> None:
        """Requests that begin (1) or end (-1) to wait, in memory or in the spool."""
        for account in accounts:
            self._open[account] += change

    def collect(self) -> Iterator[CounterMetricFamily]:
        """For /metrics. Made of the counts when it is asked for: an instrument for each entry would be the dearest part of a
        small request."""
        ends = CounterMetricFamily(
            "llmhub_ledger_requests", "Requests by what became of them", labels=("tenant", "signal", "entry")
        )
        for account, requests in list(self._counts.items()):
            ends.add_metric(account, requests)
        yield ends
        refused = CounterMetricFamily(
            "llmhub_ledger_refused", "Refused requests by reason", labels=("tenant", "signal", "reason")
        )
        for reason, requests in list(self._reasons.items()):
            if reason[0]:
                refused.add_metric(reason, requests)
        yield refused

    def imbalance(self) -> int:
        """What came in, less what has an end, less what is under way."""
        counted = sum(count * _sign(entry) for (_, _, entry), count in list(self._counts.items()))
        return counted - sum(list(self._open.values()))

    def _settled_imbalance(self) -> int:
        """For other threads: in the middle of a callback of the loop a request may have come in and not be under way yet."""
        if self._loop is None or not self._loop.is_running() or threading.get_ident() == self._thread:
            return self.imbalance()
        answer: Future[int] = Future()
        self._loop.call_soon_threadsafe(lambda: answer.set_result(self.imbalance()))
        return answer.result(_PATIENCE_SECONDS)

    def rows(self) -> list[dict[str, str | int]]:
        """One row a tenant and signal: each entry, and `under_way`."""
        accounts = sorted({(tenant, signal) for tenant, signal, _ in self._counts})
        return [
            {
                "tenant": tenant,
                "signal": signal.value,
                **{entry.value: self._counts[tenant, signal, entry] for entry in Entry},
                "under_way": self._open[tenant, signal],
            }
            for tenant, signal in accounts
        ]

    def refusals(self) -> list[dict[str, str | int]]:
        """How often each reason was given; `tenant` is '' for what was refused at the door."""
        return [
            {"tenant": tenant, "signal": signal, "reason": reason, "requests": count}
            for (tenant, signal, reason), count in sorted(self._reasons.items())
        ]


def _sign(entry: Entry) -> int:
    return 1 if entry in _IN else -1 if entry in _OUT else 0
