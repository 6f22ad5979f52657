"""The keys of `receivers.kafka`, and what becomes of them in librdkafka."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from collector.pipeline import Signal

SECTION = "receivers.kafka"
PRODUCER_SECTION = f"{SECTION}.producer"

Encoding = Literal["otlp_proto", "otlp_json"]
Properties = Mapping[str, str | int | float | bool]


@dataclass(frozen=True)
class KafkaTopic:
    """`topic` '' leaves the signal out. The encodings are those of the Collector's Kafka exporter."""

    topic: str = ""
    encoding: Encoding = "otlp_proto"


@dataclass(frozen=True)
class KafkaProducerSettings:
    """`brokers` '' is off. A request goes to the topic `<topic_prefix><signal>`; it is refused, to be sent again, when
    the brokers have not acknowledged it within `delivery_seconds`, or when `max_pending_bytes` wait for them."""

    brokers: str = ""
    topic_prefix: str = "llmhub_"
    delivery_seconds: float = 8.0
    max_pending_bytes: int = 64 << 20
    client: Properties = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class KafkaSettings:
    """`brokers` '' is off; `tenant` '' leaves the tenant to `receivers.tenant`. `max_pending_*` bound what is taken from
    Kafka and not yet stored. `client` holds librdkafka's own properties, secrets included, so it is never printed."""

    brokers: str = ""
    group_id: str = "llmhub"
    traces: KafkaTopic = KafkaTopic("otlp_spans")
    logs: KafkaTopic = KafkaTopic("otlp_logs")
    metrics: KafkaTopic = KafkaTopic("otlp_metrics")
    tenant: str = ""
    max_message_bytes: int = 20 << 20
    max_pending_bytes: int = 64 << 20
    max_pending_messages: int = 10_000
    commit_seconds: float = 1.0
    drain_seconds: float = 10.0
    client: Properties = field(default_factory=dict, repr=False)
    producer: KafkaProducerSettings = KafkaProducerSettings()

    def by_topic(self) -> dict[str, tuple[Signal, Encoding]]:
        named = {Signal.TRACES: self.traces, Signal.LOGS: self.logs, Signal.METRICS: self.metrics}
        return {each.topic: (signal, each.encoding) for signal, each in named.items() if each.topic}


def consumer_properties(settings: KafkaSettings) -> dict[str, Any]:
    client = _dotted(settings.client)
    defaults: dict[str, Any] = {
        "client.id": "llmhub",
        "auto.offset.reset": "earliest",
        # A topic that the exporter makes with its first message is found within this time; librdkafka's own is 5 minutes.
        "topic.metadata.refresh.interval.ms": 10_000,
        # What is fetched ahead; a pause throws it away and a resume fetches it again.
        "queued.max.messages.kbytes": 16 << 10,
        "auto.commit.interval.ms": max(1, round(settings.commit_seconds * 1000)),
    }
    if client.get("group.protocol") != "consumer":  # which leaves the choice to the broker
        # Only the partitions that move are taken away in a rebalance.
        defaults["partition.assignment.strategy"] = "cooperative-sticky"
    fixed = {
        "bootstrap.servers": settings.brokers,
        "group.id": settings.group_id,
        # Offsets are stored by hand, when their messages are; librdkafka commits what is stored.
        "enable.auto.offset.store": False,
        "enable.auto.commit": True,
    }
    return {**defaults, **client, **fixed}


def producer_properties(settings: KafkaProducerSettings) -> dict[str, Any]:
    defaults: dict[str, Any] = {"client.id": "llmhub", "compression.type": "lz4", "linger.ms": 5}
    fixed = {
        "bootstrap.servers": settings.brokers,
        "acks": "all",
        "enable.idempotence": True,
        "delivery.timeout.ms": max(1000, round(settings.delivery_seconds * 1000)),
        "queue.buffering.max.kbytes": max(1, settings.max_pending_bytes >> 10),
    }
    return {**defaults, **_dotted(settings.client), **fixed}


def _dotted(client: Properties) -> dict[str, Any]:
    """An environment variable cannot have a dot in its name, and no property has an underscore."""
    return {key.replace("_", "."): value for key, value in client.items()}
