from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from collector.assembly import Collector
from collector.breaker import Breaker
from collector.pipeline import Pipeline
from collector.settings import PipelineSettings
from storage.embedded import EmbeddedStore

FAST = PipelineSettings(flush_seconds=0.02, ack_seconds=60.0)
WithPipeline = Callable[..., Any]
WithCollector = Callable[..., Any]


@pytest.fixture
def tenant() -> str:
    return f"tenant-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def with_collector(llm_store: EmbeddedStore, tmp_path: Path) -> WithCollector:
    """Runs a coroutine function with a collector into the session's store, or another; then closes it. Every run in
    a test has the same spool, as the restarts of one hub have, and a registry of its own if none is given."""

    def run(
        use: Callable[[Collector], Coroutine[Any, Any, Any]],
        settings: PipelineSettings = FAST,
        store: Any = None,
        registry: CollectorRegistry | None = None,
    ) -> Any:
        async def main() -> Any:
            breaker = Breaker(recovery_seconds=0.2)
            collector = Collector(
                store or llm_store, settings, registry or CollectorRegistry(), tmp_path / "spool", breaker
            )
            await collector.start()
            try:
                return await use(collector)
            finally:
                await collector.close(patience=0.5 if store else 30.0)

        return asyncio.run(main())

    return run


@pytest.fixture
def with_pipeline(with_collector: WithCollector, registry: CollectorRegistry) -> WithPipeline:
    """The same for those who need nothing but the pipeline; the first run counts in `registry`."""
    unused = [registry]

    def run(
        use: Callable[[Pipeline], Coroutine[Any, Any, Any]], settings: PipelineSettings = FAST, store: Any = None
    ) -> Any:
        return with_collector(
            lambda collector: use(collector.pipeline), settings, store, unused.pop() if unused else None
        )

    return run
