"""Kafka and a whole hub: a process with its own store, killed without warning, and through its public ports."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.signals import Signal
from tests.hub.process import Hub, until
from tests.receivers.kafka_broker import Kafka

SECONDS = 60.0


def request(number: int, service: str) -> bytes:
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = service
    resource.scope_spans.add().spans.add(
        trace_id=uuid.uuid4().bytes, span_id=number.to_bytes(8), name="chat", start_time_unix_nano=time.time_ns()
    )
    return message.SerializeToString()


def consuming(kafka: Kafka, topic: str) -> Mapping[str, str]:
    return {
        "receivers.kafka.brokers": kafka.address,
        "receivers.kafka.group_id": topic,
        "receivers.kafka.traces.topic": topic,
        "receivers.kafka.logs.topic": "",
        "receivers.kafka.metrics.topic": "",
        "receivers.kafka.client": json.dumps({"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}),
    }


def spans(hub: Hub, service: str) -> int:
    (row,) = hub.rows(f"SELECT uniqExact(SpanId) AS n FROM otel_traces WHERE ServiceName = '{service}'")
    return int(row["n"])


def test_nothing_is_lost_when_the_hub_is_killed_in_the_middle(kafka: Kafka, tmp_path: Path) -> None:
    topic = kafka.topic()
    sent = [request(number, "killed") for number in range(1, 4001)]
    kafka.produce(topic, *sent[:3000])
    first = Hub(tmp_path, consuming(kafka, topic))
    try:
        assert until(lambda: spans(first, "killed") > 0, SECONDS)
    finally:
        first.process.kill()
        first.process.wait()
    kafka.produce(topic, *sent[3000:])
    second = Hub(tmp_path, consuming(kafka, topic))
    try:
        assert until(lambda: spans(second, "killed") == 4000, SECONDS), second.log
        assert until(lambda: kafka.committed(topic, topic) == 4000, SECONDS)
        assert until(lambda: _lag(second, topic) == 0, SECONDS)
    finally:
        second.close()


def _lag(hub: Hub, topic: str) -> float | None:
    return hub.metrics().get(("llmhub_receivers_kafka_lag", frozenset({("topic", topic), ("partition", "0")})))


def test_the_ledger_knows_every_message_and_nothing_that_nobody_sends_again_is_lost(
    kafka: Kafka, tmp_path: Path
) -> None:
    topic = kafka.topic()
    good, cut = request(1, "ledger"), request(2, "ledger")[:-3]
    bad_span = ExportTraceServiceRequest.FromString(request(3, "ledger"))
    bad_span.resource_spans[0].scope_spans[0].spans[0].trace_id = b"short"
    kafka.produce(topic, good, good, cut, b"x" * 5001, None, bad_span.SerializeToString())
    hub = Hub(tmp_path, {**consuming(kafka, topic), "receivers.kafka.max_message_bytes": "5000"})
    try:
        assert until(lambda: kafka.committed(topic, topic) == 6, SECONDS), hub.log
        status = json.loads(hub.command("status", "--json").out)
        letters = json.loads(hub.command("dlq", "list", "--json").out)
    finally:
        hub.close()
    (row,) = [row for row in status["ledger"] if row["tenant"] == "default"]
    # The truncated one is refused by the collector, and comes again as a dead letter.
    assert (row["received"], row["stored"], row["duplicate"]) == (6, 2, 1)
    assert (row["dead_lettered"], row["refused"], row["under_way"]) == (2, 1, 0)
    assert (status["balanced"], status["imbalance"]) == (True, 0)
    assert sorted(letter["size"] for letter in letters)[-2:] == [len(cut), 5001]
    assert len(letters) == 3


def test_a_hub_that_produces_acknowledges_what_kafka_has(kafka: Kafka, tmp_path: Path) -> None:
    prefix = f"hub-{uuid.uuid4().hex[:8]}-"
    topic = kafka.topic(name=f"{prefix}traces")
    body = request(1, "produced")
    hub = Hub(
        tmp_path,
        {"receivers.kafka.producer.brokers": kafka.address, "receivers.kafka.producer.topic_prefix": prefix},
    )
    try:
        assert hub.post(Signal.TRACES, body).status == 200
        (value,) = kafka.consume(topic, 1)
        assert body in value
        assert spans(hub, "produced") == 0  # the store's own servers read it from Kafka
        assert hub.metric("llmhub_receivers_kafka_produced_total", signal="traces", outcome="stored") == 1
        assert hub.post(Signal.TRACES, body[:-3]).status == 400
        status = json.loads(hub.command("status", "--json").out)
        (row,) = status["ledger"]
        assert (row["received"], row["acknowledged"], row["produced"], row["refused"]) == (2, 1, 1, 1)
        assert (row["stored"], row["under_way"], status["balanced"]) == (0, 0, True)
    finally:
        hub.close()
