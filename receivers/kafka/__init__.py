"""Kafka: OTLP topics in, and envelopes out for ClickHouse's Kafka engine."""

from receivers.kafka.metrics import KafkaMetrics
from receivers.kafka.producer import KafkaIntake
from receivers.kafka.receiver import KafkaReceiver
from receivers.kafka.settings import KafkaProducerSettings, KafkaSettings, KafkaTopic

__all__ = ["KafkaIntake", "KafkaMetrics", "KafkaProducerSettings", "KafkaReceiver", "KafkaSettings", "KafkaTopic"]
