"""The hub's own span: it is measured, and when it does not arrive, that shows."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from prometheus_client import CollectorRegistry

from collector.assembly import Collector
from storage.embedded import EmbeddedStore
from storage.store import StoreError
from tests.collector.conftest import FAST, WithCollector
from tests.collector.flaky import FlakyStore
from tests.collector.test_delivery import until

SINGING = replace(FAST, canary_seconds=0.1)


def test_the_lag_is_that_of_the_last_span_or_of_the_one_that_is_late(
    with_collector: WithCollector, llm_store: EmbeddedStore
) -> None:
    registry = CollectorRegistry()
    flaky: Any = FlakyStore(llm_store)

    async def use(collector: Collector) -> None:
        collector.canary.start()
        await until(lambda: collector.canary.lag_seconds > 0)
        assert collector.canary.failures == 0
        flaky.error = StoreError("gone")
        await until(lambda: collector.canary.failures >= 2)
        assert (registry.get_sample_value("llmhub_canary_lag_seconds") or 0) > 0.2
        assert (registry.get_sample_value("llmhub_canary_failures_total") or 0) >= 2
        flaky.error = None
        failures = collector.canary.failures
        await until(lambda: not collector.spool.waiting() and collector.canary.lag_seconds < 5)
        assert collector.canary.failures >= failures
        assert collector.ledger.imbalance() == 0

    with_collector(use, SINGING, flaky, registry)


def test_it_is_silent_when_told_so(with_collector: WithCollector) -> None:
    async def use(collector: Collector) -> None:
        collector.canary.start()
        await asyncio.sleep(0.3)
        assert collector.ledger.rows() == []

    with_collector(use, replace(FAST, canary_seconds=0.0))
