from __future__ import annotations

import asyncio
import threading

from prometheus_client import CollectorRegistry

from collector.ledger import Entry, Ledger
from collector.signals import Signal

ACCOUNT = ("shop", Signal.TRACES)


def balance(registry: CollectorRegistry) -> float:
    value = registry.get_sample_value("llmhub_ledger_imbalance")
    assert value is not None
    return value


def test_what_came_in_is_under_way_until_it_has_an_end() -> None:
    registry = CollectorRegistry()
    ledger = Ledger(registry)
    for end in (Entry.STORED, Entry.DUPLICATE, Entry.DEAD_LETTERED):
        ledger.record(*ACCOUNT, Entry.RECEIVED)
        assert balance(registry) == 1, "received and nowhere"
        ledger.under_way([ACCOUNT], 1)
        assert balance(registry) == 0
        ledger.record(*ACCOUNT, end)
        ledger.under_way([ACCOUNT], -1)
        assert balance(registry) == 0


def test_a_loss_shows() -> None:
    registry = CollectorRegistry()
    ledger = Ledger(registry)
    ledger.record(*ACCOUNT, Entry.RECEIVED, 5)
    ledger.record(*ACCOUNT, Entry.STORED, 4)
    assert balance(registry) == ledger.imbalance() == 1


def test_something_stored_twice_shows() -> None:
    registry = CollectorRegistry()
    ledger = Ledger(registry)
    ledger.record(*ACCOUNT, Entry.RECEIVED)
    ledger.record(*ACCOUNT, Entry.STORED, 2)
    assert balance(registry) == -1


def test_an_acknowledgement_is_no_end() -> None:
    ledger = Ledger(CollectorRegistry())
    ledger.record(*ACCOUNT, Entry.RECEIVED)
    ledger.record(*ACCOUNT, Entry.ACKNOWLEDGED)
    assert ledger.imbalance() == 1


def test_what_an_earlier_process_left_comes_in_as_recovered() -> None:
    ledger = Ledger(CollectorRegistry())
    ledger.record(*ACCOUNT, Entry.RECOVERED, 3)
    ledger.under_way([ACCOUNT] * 3, 1)
    assert ledger.imbalance() == 0
    ledger.record(*ACCOUNT, Entry.STORED, 3)
    ledger.under_way([ACCOUNT] * 3, -1)
    assert ledger.imbalance() == 0


def test_refusals_are_counted_by_reason() -> None:
    registry = CollectorRegistry()
    ledger = Ledger(registry)
    ledger.record(*ACCOUNT, Entry.RECEIVED, 2)
    ledger.refuse(*ACCOUNT, "overloaded")
    ledger.refuse(*ACCOUNT, "invalid")
    labels = {"tenant": "shop", "signal": "traces", "reason": "overloaded"}
    assert registry.get_sample_value("llmhub_ledger_refused_total", labels) == 1
    assert ledger.imbalance() == 0


def test_each_tenant_and_signal_has_a_row() -> None:
    ledger = Ledger(CollectorRegistry())
    ledger.record("b", Signal.LOGS, Entry.RECEIVED)
    ledger.under_way([("b", Signal.LOGS)], 1)
    ledger.record("a", Signal.TRACES, Entry.RECEIVED, 2)
    ledger.record("a", Signal.TRACES, Entry.STORED, 2)
    first, second = ledger.rows()
    assert (first["tenant"], first["signal"], first["received"], first["stored"], first["under_way"]) == ("a", "traces", 2, 2, 0)  # fmt: skip
    assert (second["tenant"], second["received"], second["stored"], second["under_way"]) == ("b", 1, 0, 1)


def test_a_request_that_comes_in_at_this_moment_is_not_taken_for_a_loss() -> None:
    registry = CollectorRegistry()
    ledger = Ledger(registry)
    counted, seen = threading.Event(), threading.Event()

    def read() -> float | None:
        counted.wait(10)
        try:
            return registry.get_sample_value("llmhub_ledger_imbalance")
        finally:
            seen.set()

    async def main() -> float | None:
        ledger.belong_to(asyncio.get_running_loop())
        reading = asyncio.create_task(asyncio.to_thread(read))
        await asyncio.sleep(0.01)
        ledger.record(*ACCOUNT, Entry.RECEIVED)
        counted.set()
        seen.wait(0.5)
        ledger.under_way([ACCOUNT], 1)
        return await reading

    assert asyncio.run(main()) == 0
    assert registry.get_sample_value("llmhub_ledger_imbalance") == 0
