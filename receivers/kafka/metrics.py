"""What the Kafka receiver counts. docs/metrics.md is checked against these declarations."""

from __future__ import annotations

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge

_PREFIX = "llmhub_receivers_kafka"


class MessageOutcome(StrEnum):
    """What became of a message."""

    STORED = "stored"
    PARTIAL = "partial"
    INVALID = "invalid"
    REFUSED = "refused"
    FAILED = "failed"
    EMPTY = "empty"
    RETURNED = "returned"


class KafkaMetrics:
    """One set of instruments in `registry`. Thread-safe, as prometheus_client is."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"{_PREFIX}_{name}", text, labels, registry=registry)

        self.messages = counter("messages", "Messages taken from Kafka by outcome", "signal", "outcome")
        self.produced = counter("produced", "Requests produced to Kafka by outcome", "signal", "outcome")
        self.rebalances = counter("rebalances", "Partitions assigned, revoked and lost", "event")
        self.errors = counter("errors", "Errors that librdkafka reported", "error")
        self.lag = Gauge(
            f"{_PREFIX}_lag",
            "Messages of a partition that are not stored yet",
            ("topic", "partition"),
            registry=registry,
        )
        self.pending_bytes = Gauge(f"{_PREFIX}_pending_bytes", "Bytes taken and not yet stored", registry=registry)
