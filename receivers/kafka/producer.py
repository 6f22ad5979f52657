"""Requests into Kafka instead of into the store, for ClickHouse's Kafka engine to read (docs/kafka.md)."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Message

from collector.duplicates import digest_of
from collector.envelope import check_framing, parts, wrap
from collector.errors import HubError, InvalidRequest, Overloaded, Unavailable
from collector.ledger import Entry, Ledger
from collector.pipeline import Acknowledgement, Signal
from receivers.kafka.metrics import KafkaMetrics
from receivers.kafka.settings import PRODUCER_SECTION, KafkaProducerSettings, producer_properties
from receivers.listener import ListenError
from receivers.threads import in_thread

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_RETRY_SECONDS = 1.0
_TOO_LARGE = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE)
Delivered = asyncio.Future[HubError | None]
Delivery = tuple[Delivered, KafkaError | None]


class KafkaIntake:
    """An Intake that acknowledges a request when all in-sync replicas have it. For use on the running event loop."""

    def __init__(
        self,
        settings: KafkaProducerSettings,
        metrics: KafkaMetrics,
        ledger: Ledger,
        refused: Callable[[str, str], None],
    ) -> None:
        """`refused` counts what receivers refuse by themselves."""
        self._settings = settings
        self._metrics = metrics
        self._ledger = ledger
        self.refused = refused
        self._ids = itertools.count(time.time_ns())
        self._delivered: list[Delivery] = []
        self._fatal = False
        self._stopping = threading.Event()
        self._grace = 0.0
        self._thread = threading.Thread(target=self._poll, name="kafka-producer", daemon=True)

    async def start(self) -> str:
        """Returns the brokers. Raises ListenError, which names the setting; brokers that are away are waited for."""
        self._loop = asyncio.get_running_loop()
        try:
            self._producer = self._open()
        except KafkaException as error:
            raise ListenError(
                f"{PRODUCER_SECTION}: Kafka's client refuses its settings: {error.args[0].str()}. Correct "
                f"{PRODUCER_SECTION}.client, whose keys are properties of librdkafka."
            ) from None
        self._thread.start()
        return self._settings.brokers

    def _open(self) -> confluent_kafka.Producer:
        properties: dict[str, Any] = {**producer_properties(self._settings), "error_cb": self._on_error}
        return confluent_kafka.Producer(properties, logger=log)

    async def stop(self, grace: float) -> None:
        """Wait up to `grace` seconds for the brokers. What they have not acknowledged by then was not acknowledged."""
        if self._thread.is_alive():
            self._grace = grace
            self._stopping.set()
            await in_thread(self._thread.join)

    async def submit(self, signal: Signal, tenant: str, body: bytes, *, until_stored: bool = False) -> Acknowledgement:
        """Returns when the brokers have it, which is all that can be waited for. Raises InvalidRequest, Overloaded or
        Unavailable; on the last two the sender may send again."""
        self._ledger.record(tenant, signal, Entry.RECEIVED)
        outcome = "failed"
        try:
            await self._take(signal, tenant, body)
            outcome = "stored"
            self._ledger.record(tenant, signal, Entry.ACKNOWLEDGED)
            return Acknowledgement()
        except HubError as error:
            outcome = error.outcome
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            self._metrics.produced.labels(signal, outcome).inc()

    async def _take(self, signal: Signal, tenant: str, body: bytes) -> None:
        if not body:
            self._ledger.record(tenant, signal, Entry.STORED)
            return
        try:
            delivered = self._produce(signal, self._envelope(signal, tenant, body))
        except HubError as error:
            self._ledger.refuse(tenant, signal, error.outcome)
            raise
        self._ledger.under_way([(tenant, signal)], 1)
        delivered.add_done_callback(partial(self._account, tenant, signal))
        # Whoever waits may go; the message does not.
        if failure := await asyncio.shield(delivered):
            raise failure

    def _account(self, tenant: str, signal: Signal, delivered: Delivered) -> None:
        self._ledger.under_way([(tenant, signal)], -1)
        if failure := delivered.result():
            self._ledger.refuse(tenant, signal, failure.outcome)
        else:
            self._ledger.record(tenant, signal, Entry.PRODUCED)

    def _envelope(self, signal: Signal, tenant: str, body: bytes) -> bytes:
        """The bytes that the writer would insert, and with the same meaning: one length-delimited envelope."""
        check_framing(signal, body)
        digest = digest_of(signal, tenant, body)
        now = time.time_ns()
        return b"".join(parts([wrap(signal, tenant, body, request_id=next(self._ids), received_ns=now, digest=digest)]))

    def _produce(self, signal: Signal, value: bytes) -> Delivered:
        if self._stopping.is_set():
            raise Unavailable("The hub is shutting down. Send again in a moment.", _RETRY_SECONDS)
        future: Delivered = self._loop.create_future()

        def delivered(error: KafkaError | None, message: Message) -> None:
            self._delivered.append((future, error))

        try:
            self._producer.produce(f"{self._settings.topic_prefix}{signal}", value, on_delivery=delivered)
        except BufferError:
            raise Overloaded(
                f"Kafka is slow or away: {PRODUCER_SECTION}.max_pending_bytes wait for it. Send again later.",
                _RETRY_SECONDS,
            ) from None
        except KafkaException as error:
            raise _failure(error.args[0]) from None
        return future

    def _poll(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._fatal:
                    self._replace()
                self._producer.poll(_POLL_SECONDS)
            except Exception:  # senders wait for this thread
                log.exception("Kafka's producer failed and is tried again")
                self._stopping.wait(_RETRY_SECONDS)
            self._tell_senders()
        self._producer.flush(self._grace)
        self._producer.purge()
        self._producer.flush(_POLL_SECONDS)
        self._tell_senders()

    def _replace(self) -> None:
        """After a fatal error librdkafka's producer takes nothing any more; senders of what waits in it send again."""
        old, self._producer = self._producer, self._open()
        self._fatal = False
        old.purge()
        old.flush(_POLL_SECONDS)

    def _tell_senders(self) -> None:
        if self._delivered:
            done, self._delivered = self._delivered, []
            self._loop.call_soon_threadsafe(_resolve, done)

    def _on_error(self, error: KafkaError) -> None:
        self._metrics.errors.labels(error.name()).inc()
        log.warning("Kafka reports an error", extra={"error": error.str(), "code": error.name()})
        if error.fatal():
            self._fatal = True


def _resolve(deliveries: list[Delivery]) -> None:
    for future, error in deliveries:
        future.set_result(_failure(error) if error is not None else None)


def _failure(error: KafkaError) -> HubError:
    if error.code() in _TOO_LARGE:
        return InvalidRequest(
            "The request is larger than Kafka takes. Send fewer records a request, or raise message.max.bytes in "
            f"{PRODUCER_SECTION}.client and max.message.bytes of the topic."
        )
    return Unavailable(f"Kafka cannot take data now ({error.name()}). Send again.", _RETRY_SECONDS)
