"""The thread that talks to Kafka: it polls, hands on, pauses, and stores offsets for librdkafka to commit."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from receivers.kafka.metrics import KafkaMetrics
from receivers.kafka.partition import Partition
from receivers.kafka.room import Room
from receivers.listener import ListenError

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_POLL_MESSAGES = 500
_POLL_BYTES = 4 << 20
# No room for so long is a store that is slow or away: partitions are paused, so that polling, which keeps this member in
# its group, can go on. A pause throws away what librdkafka has fetched ahead, so it is not for every moment.
_PATIENCE_SECONDS = 1.0
_LAG_SECONDS = 1.0
_WATERMARK_SECONDS = 1.0
_RESTART_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Received:
    """One message. `value` is None for a tombstone."""

    partition: Partition
    offset: int
    headers: Mapping[str, str]
    value: bytes | None

    @property
    def size(self) -> int:
        return len(self.value or b"")


class Handler(Protocol):
    """Gets the messages. Called on the consumer's thread only."""

    def received(self, batch: list[Received]) -> None: ...

    def drain(self, partitions: list[Partition]) -> None:
        """Bring what is in flight to an end within a bounded time; nothing of these partitions may finish later."""
        ...


class KafkaConsumer:
    """A member of a consumer group in a thread of its own. Started once, stopped once or more."""

    def __init__(
        self, properties: dict[str, Any], topics: list[str], handler: Handler, room: Room, metrics: KafkaMetrics
    ) -> None:
        self._properties = {**properties, "error_cb": self._on_error}
        self._topics = topics
        self._handler = handler
        self._room = room
        self._metrics = metrics
        self._assigned: dict[tuple[str, int], Partition] = {}
        self._paused: set[Partition] = set()
        self._held = False
        self._fatal: KafkaError | None = None
        self._store_at = self._measure_at = 0.0
        self._stored: dict[Partition, int] = {}
        self._starts: dict[Partition, int] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Raises ListenError when librdkafka does not take the properties. Does not wait for the brokers."""
        consumer = self._open()
        self._thread = threading.Thread(target=self._run, args=(consumer,), name="kafka", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Drain, commit, leave the group. Blocks."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _open(self) -> confluent_kafka.Consumer:
        try:
            return confluent_kafka.Consumer(self._properties, logger=log)
        except KafkaException as error:
            raise ListenError(
                f"receivers.kafka: Kafka's client refuses its settings: {error.args[0].str()}. Correct "
                "receivers.kafka.brokers or receivers.kafka.client, whose keys are properties of librdkafka."
            ) from None

    def _run(self, opened: confluent_kafka.Consumer) -> None:
        consumer: confluent_kafka.Consumer | None = opened
        while True:
            try:
                self._session(consumer or self._open())
            except Exception:
                log.exception("the Kafka consumer failed and starts again", extra={"seconds": _RESTART_SECONDS})
            consumer = None
            if self._stopping.wait(_RESTART_SECONDS):
                return

    def _session(self, consumer: confluent_kafka.Consumer) -> None:
        self._fatal, self._held = None, False
        try:
            consumer.subscribe(
                self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
            while not self._stopping.is_set():
                self._pace(consumer)
                batch = self._poll(consumer)
                if batch:
                    self._handler.received(batch)
                self._keep(consumer)
                if self._fatal is not None:
                    raise KafkaException(self._fatal)
        finally:
            consumer.close()
            # Only after a failure is something left that no rebalance has taken away.
            self._lose(list(self._assigned.values()))

    def _pace(self, consumer: confluent_kafka.Consumer) -> None:
        if self._held:
            self._held = not self._room.half_empty()
        else:
            self._held = not self._room.wait(_PATIENCE_SECONDS)
        wanted = {each for each in self._assigned.values() if self._held or each.resting}
        if pause := wanted - self._paused:
            consumer.pause(_positions(pause))
        if resume := self._paused - wanted:
            consumer.resume(_positions(resume))
        self._paused = wanted

    def _poll(self, consumer: confluent_kafka.Consumer) -> list[Received]:
        batch: list[Received] = []
        size = 0
        message = consumer.poll(_POLL_SECONDS)
        while message is not None:
            if received := self._receive(message):
                batch.append(received)
                size += received.size
            if len(batch) >= _POLL_MESSAGES or size >= _POLL_BYTES:
                break
            message = consumer.poll(0)
        if batch:
            self._room.take(len(batch), size)
        return batch

    def _receive(self, message: Message) -> Received | None:
        if error := message.error():
            self._on_error(error)
            return None
        topic, number, offset = message.topic(), message.partition(), message.offset()
        partition = self._assigned.get((topic or "", -1 if number is None else number))
        if partition is None or offset is None:
            return None
        value = message.value()
        return Received(partition, offset, _headers(message), value if isinstance(value, bytes) else None)

    def _keep(self, consumer: confluent_kafka.Consumer) -> None:
        """What is due now and then: offsets, lag."""
        now = time.monotonic()
        if now >= self._store_at:
            self._store_at = now + _POLL_SECONDS
            self._store_offsets(consumer, self._assigned.values())
        if now >= self._measure_at:
            self._measure_at = now + _LAG_SECONDS
            self._measure(consumer)

    def _store_offsets(self, consumer: confluent_kafka.Consumer, partitions: Iterable[Partition]) -> None:
        moved = [each for each in partitions if each.position > self._stored.get(each, -1)]
        if moved:
            positions = [TopicPartition(each.topic, each.number, each.position) for each in moved]
            consumer.store_offsets(offsets=positions)
            self._stored.update((each, position.offset) for each, position in zip(moved, positions, strict=True))

    def _measure(self, consumer: confluent_kafka.Consumer) -> None:
        for partition in self._assigned.values():
            where = TopicPartition(partition.topic, partition.number)
            # The cached end of a partition is as old as its last fetch, and a paused one is not fetched.
            paused = partition in self._paused
            try:
                marks = consumer.get_watermark_offsets(where, timeout=_WATERMARK_SECONDS, cached=not paused)
                if marks and marks[1] >= 0:
                    start = max(partition.position, self._start(consumer, partition, marks[0]))
                    self._metrics.lag.labels(partition.topic, partition.number).set(max(0, marks[1] - start))
            except KafkaException:
                return  # the brokers are slow or away; librdkafka reports that by itself

    def _start(self, consumer: confluent_kafka.Consumer, partition: Partition, low: int) -> int:
        """Where this assignment began."""
        if partition not in self._starts:
            where = TopicPartition(partition.topic, partition.number)
            (committed,) = consumer.committed([where], timeout=_WATERMARK_SECONDS)
            self._starts[partition] = committed.offset if committed.offset >= 0 else max(low, 0)
        return self._starts[partition]

    def _on_assign(self, consumer: confluent_kafka.Consumer, partitions: list[TopicPartition]) -> None:
        self._metrics.rebalances.labels("assigned").inc(len(partitions))
        for each in partitions:
            self._assigned[each.topic, each.partition] = Partition(each.topic, each.partition)

    def _on_revoke(self, consumer: confluent_kafka.Consumer, partitions: list[TopicPartition]) -> None:
        gone = self._known(partitions)
        self._handler.drain(gone)
        try:
            self._store_offsets(consumer, gone)
        except KafkaException as error:  # they are read again
            log.warning("cannot store the offsets of revoked partitions", extra={"error": str(error)})
        self._forget(gone, "revoked")

    def _on_lost(self, consumer: confluent_kafka.Consumer, partitions: list[TopicPartition]) -> None:
        """Another member has them already: their offsets are no longer ours to commit."""
        self._lose(self._known(partitions))

    def _lose(self, partitions: list[Partition]) -> None:
        if partitions:
            self._handler.drain(partitions)
            self._forget(partitions, "lost")

    def _known(self, partitions: list[TopicPartition]) -> list[Partition]:
        keys = [(each.topic, each.partition) for each in partitions]
        return [self._assigned[key] for key in keys if key in self._assigned]

    def _forget(self, partitions: list[Partition], event: str) -> None:
        self._metrics.rebalances.labels(event).inc(len(partitions))
        for each in partitions:
            self._assigned.pop((each.topic, each.number), None)
            self._paused.discard(each)
            self._stored.pop(each, None)
            self._starts.pop(each, None)
            with suppress(KeyError):  # it was never measured
                self._metrics.lag.remove(each.topic, each.number)

    def _on_error(self, error: KafkaError) -> None:
        self._metrics.errors.labels(error.name()).inc()
        log.warning("Kafka reports an error", extra={"error": error.str(), "code": error.name()})
        if error.fatal():
            self._fatal = error


def _positions(partitions: set[Partition]) -> list[TopicPartition]:
    return [TopicPartition(each.topic, each.number) for each in partitions]


def _headers(message: Message) -> Mapping[str, str]:
    """Names in lower case, as a TenantResolver wants them."""
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return {name.lower(): value.decode(errors="replace") for name, value in pairs if isinstance(value, bytes)}
