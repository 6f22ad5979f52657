"""The composition root: what the hub consists of, in which order it starts, and how it stops."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from collector import memory
from collector.assembly import Collector
from collector.errors import HubError
from collector.gaps import Gaps
from collector.periodic import Periodic
from collector.pricing import PriceKeeper, Pricing
from collector.registry import RegistryKeeper
from collector.rewrite import Jobs, Rewriter
from collector.spool import KeyFileError, SpoolError
from collector.sweep import Sweep, Sweeper
from llmhub import content
from llmhub.api import api_app
from llmhub.config import Config
from llmhub.control import ControlServer
from llmhub.control_app import control_app
from llmhub.status import Status
from receivers.events import EventMetrics, event_routes
from receivers.http_server import HttpServer
from receivers.intake import Intake, SingleTenant, TenantResolver
from receivers.intake_budget import IntakeBudget
from receivers.kafka import KafkaIntake, KafkaMetrics, KafkaReceiver
from receivers.otlp_grpc import OtlpGrpcReceiver
from receivers.otlp_http import OtlpHttpReceiver
from receivers.tail import Tail, TailMetrics
from receivers.tail_socket import tail_routes
from storage import reference, registry, schema
from storage.content import ContentKeys
from storage.embedded import EmbeddedStore
from storage.endpoint import clickhouse_app
from storage.ownership import LOCK_FILE
from storage.price_store import PriceError
from storage.registry import RegistryError
from storage.store import Store, StoreError, embedded_path, open_store

log = logging.getLogger(__name__)

START_FAILURES = (StoreError, PriceError, SpoolError, KeyFileError, HubError, OSError)
"""What opening the store, a Hub and its start raise where there is a remedy; str() is the line that says it."""

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LAST_INSERT_SECONDS = 2.0
# What others write into the store since then may be lost when the machine loses power.
_CHECKPOINT_SECONDS = 30.0
_MEMORY_SECONDS = 30.0
# An update that is ended has changed nothing; the next start does it.
_CANCEL_QUERIES = "KILL QUERY WHERE query_kind IN ('Select', 'Update') AND elapsed > 1 ASYNC"
# Python's 700 make the garbage collector a tenth of the CPU time of small requests.
_GC_ALLOCATIONS = 100_000


@dataclass(frozen=True)
class Addresses:
    """Where a running hub listens, each 'host:port'; clickhouse_http is '' when the store is a server."""

    otlp_grpc: str
    otlp_http: str
    api: str
    clickhouse_http: str


def open_configured(config: Config) -> Store:
    """The store of storage.dsn with storage.limits, as it is. Raises StoreError."""
    return open_store(config.storage.dsn, **vars(config.storage.limits))


def check_store_exists(config: Config) -> None:
    """For commands that need one: they would answer from a store that they have just made. Raises StoreError."""
    if not config.storage.dsn.startswith("chdb:"):
        return
    path = Path(embedded_path(config.storage.dsn))
    try:
        os.stat(path / LOCK_FILE)
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(
            f"there is no store in {path}: give the one that you mean with --store or storage.dsn; `llmhub up` makes a new one"
        ) from None
    except OSError:
        return  # whoever opens it is told why it cannot be


def prepare_store(config: Config) -> Store:
    """Open the store and bring its schema and reference data up to date. Raises StoreError, SchemaError.

    With an embedded store the process moves into the store's directory.
    """
    store = open_configured(config)
    if isinstance(store, EmbeddedStore):
        # The engine keeps compiled protobuf schemas below the working directory, wherever that is.
        os.chdir(store.path)
    try:
        schema.apply(store)
        if isinstance(store, EmbeddedStore):
            store.merges_give_way()
        schema.refresh_dictionaries(store)
        reference.load(store, config.storage.prices, config.storage.mapping, config.storage.content.keys)
        content.apply(config.storage.content, store)
        _load_registry(config, store)
        store.flush()
    except BaseException:
        store.close()
        raise
    return store


def _load_registry(config: Config, store: Store) -> None:
    """Before the first call is stored. What is wrong with the file is no reason not to start."""
    if path := config.storage.registry.path:
        try:
            registry.load_file(store, Path(path), config.receivers.tenant)
        except RegistryError as error:
            log.error("the service registry is left as it was", extra={"error": str(error)})


class Hub:
    """All of the hub in one process and on one event loop.

    With `share_ports` other processes may serve senders on the same ports. `leftovers` are spools to take up beside
    its own.
    """

    def __init__(
        self, config: Config, store: Store, *, share_ports: bool = False, leftovers: Iterable[Path] = ()
    ) -> None:
        self._config = config
        self.store = store
        registry = CollectorRegistry()
        for instrument in (ProcessCollector, PlatformCollector, GCCollector):
            instrument(registry=registry)
        self.collector = Collector(store, config.collector, registry, config.spool_directory, leftovers=leftovers)
        self.pipeline = self.collector.pipeline
        correcting = threading.RLock()
        self._sweep = Sweep(store, correcting)
        self._pricing = Pricing(store, config.storage.prices, correcting)
        rewriter = Rewriter(store, self._sweep, correcting, self._pricing.finish)
        self._rewrites = Jobs(rewriter)
        self._periodic = self._schedule(rewriter.finish)
        tenants = SingleTenant(config.receivers.tenant)
        kafka_metrics = KafkaMetrics(registry)
        self._kafka_intake = self._producer(kafka_metrics)
        tail = Tail(
            self._kafka_intake or self.pipeline,
            config.api.tail,
            TailMetrics(registry),
            ContentKeys(config.storage.content.keys),
        )
        budget = IntakeBudget(config.receivers.max_intake_bytes)
        self._otlp_grpc = OtlpGrpcReceiver(tail, config.receivers.otlp_grpc, tenants, budget, share_port=share_ports)
        events = event_routes(tail, config.receivers.otlp_http, tenants, EventMetrics(registry), budget)
        self._otlp_http = OtlpHttpReceiver(
            tail, config.receivers.otlp_http, tenants, budget, events, share_port=share_ports
        )
        self._kafka = self._consumer(tail, tenants, kafka_metrics)
        checks = {"collector": self._check_collector}
        if isinstance(store, EmbeddedStore):  # while a server is away, what comes goes into the spool
            checks["storage"] = self._check_storage
        status = Status(self.collector, store, config.collector)
        api = api_app(registry, checks, status.report, tail_routes(tail, config.api.tail))
        self._api = HttpServer(api, config.api.listen, "api.listen", websockets=True)
        control = control_app(self.collector, status, self._pricing, self._rewrites, checks)
        self._control = ControlServer(control, self.collector.spool.directory)
        self._clickhouse_http = self._clickhouse_server()
        self._started: list[Callable[[float], Awaitable[None]]] = []

    def _schedule(self, finish_rewrite: Callable[[], object]) -> list[Periodic]:
        config, store, metrics = self._config, self.store, self.collector.metrics
        prices = PriceKeeper(self._pricing, metrics, finish_rewrite)
        sweeper = Sweeper(self._sweep, metrics, finish_rewrite)
        policy = content.PolicyWatch(config.storage.content, store)
        keeper = RegistryKeeper(store, metrics, config.storage.registry, config.receivers.tenant)
        gaps = Gaps(store, metrics)
        return [
            Periodic("prices", prices.once, config.storage.prices.resolve_seconds),
            Periodic("sweep", sweeper.once, config.sweep.interval_seconds),
            Periodic("content policy", policy.check, content.LOOK_SECONDS if config.storage.content.policy_file else 0),
            Periodic("registry", keeper.check, config.storage.registry.check_seconds),
            Periodic("gaps", gaps.measure, config.gaps.interval_seconds),
            Periodic("checkpoint", store.flush, _CHECKPOINT_SECONDS),
            Periodic("memory", memory.give_back, _MEMORY_SECONDS),
        ]

    def _producer(self, metrics: KafkaMetrics) -> KafkaIntake | None:
        settings = self._config.receivers.kafka.producer
        ledger = self.collector.ledger
        return KafkaIntake(settings, metrics, ledger, self.pipeline.refused) if settings.brokers else None

    def _consumer(self, intake: Intake, tenants: TenantResolver, metrics: KafkaMetrics) -> KafkaReceiver | None:
        settings = self._config.receivers.kafka
        if not settings.brokers:
            return None
        own = SingleTenant(settings.tenant) if settings.tenant else tenants
        return KafkaReceiver(intake, settings, own, self.pipeline, metrics)

    def _clickhouse_server(self) -> HttpServer | None:
        if not isinstance(self.store, EmbeddedStore):
            return None
        settings = self._config.storage.clickhouse_http
        return HttpServer(clickhouse_app(self.store, settings), settings.listen, "storage.clickhouse_http.listen")

    async def start(self) -> Addresses:
        """Open every door, queries first and senders last. Raises ListenError when an address is taken, SpoolError."""
        await self.collector.start()
        clickhouse_http = ""
        if self._clickhouse_http and isinstance(self.store, EmbeddedStore):
            clickhouse_http = await self._open(self._clickhouse_http)
            self.store.advertise(f"http://{clickhouse_http}")
        api = await self._open(self._api)
        await self._open(self._control)
        if self._kafka_intake:
            await self._open(self._kafka_intake)
        otlp_http = await self._open(self._otlp_http)
        otlp_grpc = await self._open(self._otlp_grpc)
        if self._kafka:
            await self._open(self._kafka)
        await self._finish_pricing()
        for each in self._periodic:
            each.start()
        self.collector.canary.start()
        # What exists by now lives as long as the process; the collector need not walk it again and again. Nor the requests
        # under way, of which thousands may wait for a commit: reference counts free them, cycles are few.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GC_ALLOCATIONS, 10, 10)
        return Addresses(otlp_grpc, otlp_http, api, clickhouse_http)

    async def stop(self) -> None:
        """Close the doors to senders, flush what they sent, close the rest. Safe to call after a failed start."""
        grace = self._config.shutdown_seconds / 2
        flushing = asyncio.create_task(self.collector.close(grace / 2))
        cancelling = asyncio.create_task(self._cancel_queries(grace / 2))
        self._rewrites.stop()
        self._sweep.stop()
        stops = [*(each.stop for each in self._periodic), *reversed(self._started)]
        await asyncio.gather(*(stop(grace) for stop in stops))
        self._started.clear()
        cancelling.cancel()
        # What is not stored by then is in the spool, or was not acknowledged.
        await asyncio.wait([flushing], timeout=grace)

    async def _finish_pricing(self) -> None:
        """Before a sweep: it would subtract costs that an interrupted run has not brought into the roll-up yet."""
        if self._config.storage.prices.resolve_seconds:
            with suppress(Exception):  # the first run tries again, and tells
                await asyncio.to_thread(self._pricing.finish)

    async def _open(
        self,
        server: HttpServer | OtlpGrpcReceiver | OtlpHttpReceiver | KafkaReceiver | KafkaIntake | ControlServer,
    ) -> str:
        address = await server.start()
        self._started.append(server.stop)
        return address

    async def _cancel_queries(self, patience: float) -> None:
        """The embedded engine cannot close while a query runs, so those of more than a second are ended by force."""
        while isinstance(self.store, EmbeddedStore):
            await asyncio.sleep(patience)
            with suppress(StoreError):
                await asyncio.to_thread(self.store.execute, _CANCEL_QUERIES)

    async def _check_storage(self) -> str:
        try:
            await asyncio.to_thread(self.store.query, "SELECT 1")
        except StoreError as error:
            return f"the store at storage.dsn does not answer: {error.message}"
        return ""

    async def _check_collector(self) -> str:
        return self.pipeline.problem()


async def run(
    config: Config,
    store: Store,
    while_running: Callable[[Hub, Addresses], Awaitable[None]],
    *,
    share_ports: bool = False,
    leftovers: Iterable[Path] = (),
) -> None:
    """Run a hub until SIGTERM, SIGINT or the end of `while_running`; everything received is flushed first."""
    hub = Hub(config, store, share_ports=share_ports, leftovers=leftovers)
    try:
        addresses = await hub.start()
        await until_signal(asyncio.ensure_future(while_running(hub, addresses)))
    finally:
        await hub.stop()
        _leave_hanging_inserts()


def _leave_hanging_inserts() -> None:
    """A thread cannot be ended, and the process would wait for one whose server hangs beyond its grace period."""
    hanging = [thread for thread in threading.enumerate() if thread.name.startswith("insert")]
    for thread in hanging:
        thread.join(_LAST_INSERT_SECONDS / len(hanging))
    if any(thread.is_alive() for thread in hanging):
        log.error("an insert does not end; what it holds is in the spool and is stored after the next start")
        logging.shutdown()
        os._exit(1)


async def until_signal(work: asyncio.Future[None]) -> None:
    """Wait for the end of `work`; SIGTERM and SIGINT cancel it. Raises what it raises."""
    loop = asyncio.get_running_loop()

    def stop(number: int, frame: FrameType | None) -> None:
        # Once is enough: a second signal must not cut short the flush, the closing store or the interpreter's end.
        for each in _STOP_SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        if not loop.is_closed():
            loop.call_soon_threadsafe(work.cancel)

    # Not the loop's own handlers, which go with it.
    for each in _STOP_SIGNALS:
        signal.signal(each, stop)
    try:
        await work
    except asyncio.CancelledError:
        log.info("stopping")
