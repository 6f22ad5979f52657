"""Operator's commands on a hub: the one that runs, or one without doors that lives as long as the command."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from prometheus_client import CollectorRegistry

from collector.assembly import Collector
from collector.pricing import Pricing
from collector.rewrite import Jobs, Rewriter
from collector.sweep import Sweep
from llmhub.config import Config
from llmhub.control import ControlClient, ControlServer, NoHub
from llmhub.control_app import control_app
from llmhub.hub import check_store_exists, prepare_store
from llmhub.spools import own_spools
from llmhub.status import Status
from storage.store import Store

T = TypeVar("T")

_GRACE_SECONDS = 5.0


def with_hub(config: Config, use: Callable[[ControlClient], T]) -> T:
    """What `use` returns. Raises what it raises, StoreError, SchemaError, SpoolError, KeyFileError."""
    client = ControlClient(own_spools(config)[0])
    try:
        client.ping()
    except NoHub:
        check_store_exists(config)
        store = prepare_store(config)
        try:
            return asyncio.run(_serve(config, store, lambda: use(client)))
        finally:
            store.close()
    return use(client)


async def _serve(config: Config, store: Store, use: Callable[[], T]) -> T:
    collector = Collector(store, config.collector, CollectorRegistry(), config.spool_directory)
    correcting = threading.RLock()
    pricing = Pricing(store, config.storage.prices, correcting)
    rewriter = Rewriter(store, Sweep(store, correcting), correcting, pricing.finish)
    rewrites = Jobs(rewriter)
    app = control_app(collector, Status(collector, store, config.collector), pricing, rewrites)
    control = ControlServer(app, collector.spool.directory)
    try:
        await collector.start()
        await control.start()
        return await asyncio.to_thread(use)
    finally:
        rewrites.stop()
        await control.stop(_GRACE_SECONDS)
        await collector.close()
