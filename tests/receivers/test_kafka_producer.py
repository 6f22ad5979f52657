"""Requests into Kafka for ClickHouse's Kafka engine: acknowledged when the broker has them, readable as the engine reads."""

from __future__ import annotations

import asyncio
import re
import uuid
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import KafkaError
from prometheus_client import CollectorRegistry

from collector.errors import InvalidRequest, Overloaded, Unavailable
from collector.ledger import Ledger
from collector.pipeline import Acknowledgement, Signal
from receivers.kafka import KafkaIntake, KafkaMetrics, KafkaProducerSettings
from receivers.listener import ListenError
from storage.embedded import EmbeddedStore
from storage.kafka_engine import kafka_engine_sql
from storage.statement import quote
from tests.receivers import exports
from tests.receivers.kafka_broker import Kafka
from tests.receivers.recorder import Loop, serving


def intake(settings: KafkaProducerSettings, registry: CollectorRegistry | None = None) -> KafkaIntake:
    registry = registry or CollectorRegistry()
    return KafkaIntake(settings, KafkaMetrics(registry), Ledger(registry), lambda signal, reason: None)


def ledger(registry: CollectorRegistry) -> dict[str, float]:
    """Requests by entry; whether they balance, too."""
    samples = [sample for metric in registry.collect() for sample in metric.samples]
    found = {
        sample.labels["entry"]: sample.value for sample in samples if sample.name == "llmhub_ledger_requests_total"
    }
    return {**found, "imbalance": registry.get_sample_value("llmhub_ledger_imbalance") or 0.0}


def settings(kafka: Kafka, **changes: Any) -> KafkaProducerSettings:
    """Topics of their own for each test."""
    prefix = f"out-{uuid.uuid4().hex[:8]}-"
    for signal in Signal:
        kafka.topic(name=f"{prefix}{signal}")
    return replace(KafkaProducerSettings(brokers=kafka.address, topic_prefix=prefix), **changes)


def test_an_acknowledged_request_is_in_kafka_and_clickhouse_reads_it_from_there(
    kafka: Kafka, loop: Loop, llm_store: EmbeddedStore
) -> None:
    """As the Kafka engine does: each message by itself, in the table's format and with its settings. The engine itself
    does not start in chDB."""
    config, tenant = settings(kafka), f"tenant-{uuid.uuid4().hex[:8]}"
    producer = intake(config)
    with serving(producer, loop):
        for signal, body in exports.PROTOBUF.items():
            assert loop.run(producer.submit(signal, tenant, body)) == Acknowledgement()
        loop.run(producer.submit(Signal.TRACES, tenant, exports.traces(3)))
    for signal in Signal:
        for value in kafka.consume(f"{config.topic_prefix}{signal}", 2 if signal is Signal.TRACES else 1):
            llm_store.insert(f"otlp_{signal}", value, fmt="Protobuf", settings=engine_settings(signal))
    assert [
        llm_store.rows(f"SELECT count() AS n FROM {table} WHERE Tenant = {quote(tenant)}")[0]["n"]
        for table in ("otel_traces", "otel_logs", "otel_metrics_sum")
    ] == [2, 1, 1]  # the first span of each request has no valid id


def engine_settings(signal: Signal) -> dict[str, str | int]:
    """The format settings that the Kafka table of a signal is created with."""
    statement = next(
        part for part in kafka_engine_sql("b:9092", "").split(";\n\n") if f"TABLE IF NOT EXISTS kafka_{signal} " in part
    )
    listed = statement.partition("ENGINE = Kafka SETTINGS")[2]
    found: dict[str, str | int] = {}
    for name, text, number in re.findall(r"^    (\w+) = (?:'((?:[^'\\]|\\.)*)'|(\d+)),?$", listed, re.MULTILINE):
        found[name] = int(number) if number else text.replace("\\'", "'").replace("\\\\", "\\")
    assert found.pop("kafka_format") == "Protobuf"
    assert found["format_schema_message_name"] == f"{signal.capitalize()}Envelope"
    return {name: value for name, value in found.items() if not name.startswith("kafka_")}


def test_the_sql_for_the_engine_is_sql(llm_store: EmbeddedStore) -> None:
    statements = kafka_engine_sql("b1:9092,b2:9092", "llmhub_").split(";\n\n")
    assert len(statements) == 12
    for statement in statements:
        llm_store.query("SELECT formatQuery({sql:String})", params={"sql": statement})


def test_what_is_no_otlp_request_is_refused_and_not_produced(kafka: Kafka, loop: Loop) -> None:
    registry = CollectorRegistry()
    producer = intake(settings(kafka), registry)
    with serving(producer, loop), pytest.raises(InvalidRequest, match="not valid protobuf"):
        loop.run(producer.submit(Signal.TRACES, "team", b"\xff\xff"))
    labels = {"signal": "traces", "outcome": "invalid"}
    assert registry.get_sample_value("llmhub_receivers_kafka_produced_total", labels) == 1
    assert ledger(registry) == {"received": 1, "refused": 1, "imbalance": 0}


def test_a_request_whose_sender_has_gone_is_accounted_for_when_kafka_has_it(kafka: Kafka, loop: Loop) -> None:
    registry = CollectorRegistry()
    producer = intake(settings(kafka, client={"linger.ms": 500}), registry)

    async def go_away() -> dict[str, float]:
        sender = asyncio.create_task(producer.submit(Signal.TRACES, "team", exports.traces()))
        await asyncio.sleep(0.05)
        sender.cancel()
        await asyncio.wait([sender])
        return ledger(registry)

    with serving(producer, loop):
        assert loop.run(go_away()) == {"received": 1, "imbalance": 0}  # it is under way
    assert ledger(registry) == {"received": 1, "produced": 1, "imbalance": 0}
    labels = {"signal": "traces", "outcome": "cancelled"}
    assert registry.get_sample_value("llmhub_receivers_kafka_produced_total", labels) == 1


def test_a_request_above_kafkas_limit_is_never_to_be_sent_again(kafka: Kafka, loop: Loop) -> None:
    producer = intake(settings(kafka, client={"message.max.bytes": 2000}))
    with serving(producer, loop), pytest.raises(InvalidRequest, match=r"message\.max\.bytes"):
        loop.run(producer.submit(Signal.TRACES, "team", exports.traces(100)))


def test_while_kafka_is_away_senders_are_told_to_come_again(loop: Loop) -> None:
    producer = intake(KafkaProducerSettings(brokers="127.0.0.1:1", delivery_seconds=1.0))
    with serving(producer, loop), pytest.raises(Unavailable, match="Send again"):
        loop.run(producer.submit(Signal.TRACES, "team", exports.traces()))


def test_no_more_waits_for_kafka_than_it_is_allowed_to(loop: Loop) -> None:
    producer = intake(KafkaProducerSettings(brokers="127.0.0.1:1", delivery_seconds=1.0, max_pending_bytes=64 << 10))

    async def many() -> list[Any]:
        work = [producer.submit(Signal.TRACES, "team", exports.traces(200)) for _ in range(40)]
        return await asyncio.gather(*work, return_exceptions=True)

    with serving(producer, loop):
        refusals = [type(error) for error in loop.run(many())]
    assert set(refusals) == {Overloaded, Unavailable}
    assert refusals.count(Unavailable) * len(exports.traces(200)) < 2 * (64 << 10)


def test_after_a_fatal_error_of_the_client_those_who_wait_send_again_and_are_served(kafka: Kafka, loop: Loop) -> None:
    registry = CollectorRegistry()
    producer = intake(settings(kafka, client={"linger.ms": 5000}), registry)

    async def fail() -> Any:
        waiting = asyncio.create_task(producer.submit(Signal.TRACES, "team", exports.traces()))
        await asyncio.sleep(0.1)
        producer._on_error(KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "made up", fatal=True))
        return await asyncio.gather(waiting, return_exceptions=True)

    with serving(producer, loop):
        broken = producer._producer
        (error,) = loop.run(fail())
        assert isinstance(error, Unavailable)
        assert producer._producer is not broken
        again = loop.run(_submit_and_flush(producer))
    assert again == Acknowledgement()
    assert ledger(registry) == {"received": 2, "refused": 1, "acknowledged": 1, "produced": 1, "imbalance": 0}


async def _submit_and_flush(producer: KafkaIntake) -> Acknowledgement:
    sending = asyncio.create_task(producer.submit(Signal.TRACES, "team", exports.traces()))
    await asyncio.sleep(0)
    await asyncio.to_thread(producer._producer.flush, 20)
    return await sending


def test_a_stop_answers_every_sender(loop: Loop) -> None:
    registry = CollectorRegistry()
    producer = intake(KafkaProducerSettings(brokers="127.0.0.1:1", delivery_seconds=60.0), registry)

    async def stop_while_waiting() -> Any:
        waiting = asyncio.create_task(producer.submit(Signal.TRACES, "team", exports.traces()))
        await asyncio.sleep(0.1)
        await producer.stop(grace=0.1)
        return await asyncio.gather(waiting, return_exceptions=True)

    loop.run(producer.start())
    (error,) = loop.run(stop_while_waiting())
    assert isinstance(error, Unavailable)
    assert ledger(registry) == {"received": 1, "refused": 1, "imbalance": 0}


def test_a_property_that_librdkafka_does_not_know_is_named(loop: Loop) -> None:
    producer = intake(KafkaProducerSettings(brokers="127.0.0.1:1", client={"compresion": "lz4"}))
    with pytest.raises(ListenError, match=r"compresion.*receivers\.kafka\.producer\.client"):
        loop.run(producer.start())
