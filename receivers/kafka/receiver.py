"""OTLP from Kafka topics, as the OpenTelemetry Collector's Kafka exporter writes them.

https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/exporter/kafkaexporter
A message is one Export*ServiceRequest, in protobuf or JSON. Its offset is committed after submit() has returned.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from collector.errors import DeadLettered, HubError, InvalidRequest, Overloaded, Unavailable
from collector.pipeline import Signal
from receivers import otlp_json
from receivers.intake import DeadLetterSink, Intake, Refusal, Refused, TenantResolver
from receivers.kafka.consumer import KafkaConsumer, Received
from receivers.kafka.metrics import KafkaMetrics, MessageOutcome
from receivers.kafka.partition import Abandoned, Partition
from receivers.kafka.room import Room
from receivers.kafka.settings import SECTION, Encoding, KafkaSettings, consumer_properties
from receivers.rate_limited_log import RateLimitedLog
from receivers.threads import in_thread

log = logging.getLogger(__name__)

_UNEXPECTED_ATTEMPTS = 5
_UNEXPECTED_SECONDS = 1.0
_DRAIN_MARGIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Request:
    """A message ready to be submitted, or `problem`: why it never will be."""

    message: Received
    signal: Signal
    body: bytes = b""
    problem: Exception | None = None


class KafkaReceiver:
    """Consumes on a thread, submits on the running event loop. Started once, stopped once or more."""

    def __init__(
        self,
        pipeline: Intake,
        settings: KafkaSettings,
        tenants: TenantResolver,
        dead_letters: DeadLetterSink,
        metrics: KafkaMetrics,
    ) -> None:
        self._pipeline = pipeline
        self._settings = settings
        self._tenants = tenants
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._log = RateLimitedLog(log)
        self._topics = settings.by_topic()
        self._drain_seconds = settings.drain_seconds
        self._room = Room(settings.max_pending_messages, settings.max_pending_bytes, metrics.pending_bytes)
        self._consumer = KafkaConsumer(consumer_properties(settings), list(self._topics), self, self._room, metrics)

    async def start(self) -> str:
        """Join the group; returns the brokers. Raises ListenError, which names the setting; brokers that are away are
        waited for in the background."""
        self._loop = asyncio.get_running_loop()
        self._consumer.start()
        return self._settings.brokers

    async def stop(self, grace: float) -> None:
        """Give messages in flight `grace` seconds, commit what is finished, leave the group."""
        self._drain_seconds = min(grace, self._drain_seconds)
        await in_thread(self._consumer.stop)

    def received(self, batch: list[Received]) -> None:
        """On the consumer's thread, where decoding JSON holds up nobody else."""
        self._loop.call_soon_threadsafe(self._take, [self._decode(message) for message in batch])

    def drain(self, partitions: list[Partition]) -> None:
        """On the consumer's thread."""
        work = self._drain(partitions, self._drain_seconds)
        asyncio.run_coroutine_threadsafe(work, self._loop).result(self._drain_seconds + _DRAIN_MARGIN_SECONDS)

    async def _drain(self, partitions: list[Partition], seconds: float) -> None:
        await asyncio.gather(*(partition.drain(seconds) for partition in partitions))

    def _decode(self, message: Received) -> _Request:
        signal, encoding = self._topics[message.partition.topic]
        try:
            return _Request(message, signal, self._body(signal, encoding, message.value or b""))
        except Exception as problem:  # a defect in decoding must not stop the partition either
            return _Request(message, signal, problem=problem)

    def _body(self, signal: Signal, encoding: Encoding, value: bytes) -> bytes:
        limit = self._settings.max_message_bytes
        if len(value) > limit:
            text = f"The message has {len(value)} bytes, {SECTION}.max_message_bytes is {limit}."
            raise Refused(Refusal.TOO_LARGE, text)
        return otlp_json.to_protobuf(signal, value) if value and encoding == "otlp_json" else value

    def _take(self, batch: list[_Request]) -> None:
        for request in batch:
            partition = request.message.partition
            partition.take(request.message.offset)
            task = self._loop.create_task(self._process(request))
            partition.tasks.add(task)
            task.add_done_callback(partition.tasks.discard)

    async def _process(self, request: _Request) -> None:
        outcome = MessageOutcome.RETURNED
        message = request.message
        try:
            outcome = await message.partition.gate.run(_Attempts(self, request))
            message.partition.finish(message.offset)
        except Abandoned:
            pass  # the partition's next owner reads it again
        finally:
            self._room.release(message.size)
            self._metrics.messages.labels(request.signal, outcome).inc()

    async def submit(self, request: _Request) -> MessageOutcome:
        """One attempt. Raises Overloaded and Unavailable, and what nobody expects."""
        if request.problem is not None:
            return await self.bury(request, request.problem)
        if not request.message.value:
            return MessageOutcome.EMPTY
        try:
            tenant = self._tenants.resolve(request.message.headers)
        except (Refused, InvalidRequest) as error:
            return await self.bury(request, error)
        try:
            acknowledgement = await self._pipeline.submit(request.signal, tenant, request.body, until_stored=True)
        except DeadLettered as error:
            self._tell("a Kafka message is no valid request: it is a dead letter", request, error)
            return MessageOutcome.INVALID
        except InvalidRequest as error:  # there is no sender to refuse it to
            return await self.bury(request, error)
        return MessageOutcome.PARTIAL if acknowledgement.rejected else MessageOutcome.STORED

    async def bury(self, request: _Request, error: Exception) -> MessageOutcome:
        """Keep as a dead letter what the pipeline cannot be given, or does not take."""
        value = request.message.value or b""
        await self._dead_letters.dead_letter(request.signal, self._tenant(request), value, str(error))
        self._tell("a Kafka message cannot be read: it is a dead letter", request, error)
        if isinstance(error, Refused):
            self._pipeline.refused(request.signal, error.reason)
            return MessageOutcome.REFUSED
        return MessageOutcome.INVALID if isinstance(error, InvalidRequest) else MessageOutcome.FAILED

    def _tenant(self, request: _Request) -> str:
        try:
            return self._tenants.resolve(request.message.headers)
        except HubError:
            return ""

    def _tell(self, text: str, request: _Request, error: Exception) -> None:
        """In the log; what of the message the error quotes is in the dead letter."""
        partition = request.message.partition
        where = {"topic": partition.topic, "partition": partition.number, "offset": request.message.offset}
        self._log.warning(partition.topic, text, **where, error=getattr(error, "reason", type(error).__name__))


class _Attempts:
    """Repeats for the partition's gate. A message that fails for no known reason is a dead letter after some attempts: it
    must not stop its partition for ever. Until it is one, it is not let go."""

    def __init__(self, receiver: KafkaReceiver, request: _Request) -> None:
        self._receiver = receiver
        self._request = request
        self._failures: list[Exception] = []

    async def __call__(self) -> MessageOutcome:
        try:
            if len(self._failures) < _UNEXPECTED_ATTEMPTS:
                return await self._receiver.submit(self._request)
            return await self._receiver.bury(self._request, self._failures[0])
        except (Overloaded, Unavailable):
            raise
        except Exception as error:
            self._failures = [*self._failures, error][:_UNEXPECTED_ATTEMPTS]
            log.exception("a Kafka message failed unexpectedly")
            raise Unavailable("unexpected", _UNEXPECTED_SECONDS) from None
