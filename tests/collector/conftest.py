from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from collector.metrics import CollectorMetrics
from collector.pipeline import Pipeline, PipelineSettings
from collector.writer import Writer
from storage.embedded import EmbeddedStore

FAST = PipelineSettings(flush_seconds=0.02)
WithPipeline = Callable[..., Any]


@pytest.fixture
def tenant() -> str:
    return f"tenant-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def with_pipeline(llm_store: EmbeddedStore, registry: CollectorRegistry) -> WithPipeline:
    """Runs a coroutine function with a pipeline into the session's store, then closes the pipeline."""
    metrics = CollectorMetrics(registry)

    def run(
        use: Callable[[Pipeline], Coroutine[Any, Any, Any]], settings: PipelineSettings = FAST, store: Any = None
    ) -> Any:
        async def main() -> Any:
            pipeline = Pipeline(Writer(store or llm_store, metrics), metrics, settings)
            try:
                return await use(pipeline)
            finally:
                await pipeline.close()

        return asyncio.run(main())

    return run
