"""OTLP from Kafka: a message counts as read when it is stored, and nothing stops a partition."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import confluent_kafka
import pytest
from prometheus_client import CollectorRegistry

from collector.errors import DeadLettered, InvalidRequest, Overloaded, Unavailable
from collector.pipeline import Acknowledgement, Signal
from receivers import otlp_json
from receivers.intake import DeadLetterSink, Intake, SingleTenant
from receivers.kafka import KafkaMetrics, KafkaReceiver, KafkaSettings, KafkaTopic
from receivers.kafka.consumer import KafkaConsumer, Received
from receivers.listener import ListenError
from tests.receivers import exports
from tests.receivers.kafka_broker import Kafka
from tests.receivers.recorder import STORED, Loop, Recorder, serving

# Members that are gone without a word are noticed after the session's timeout; six seconds is the least a broker allows.
CLIENT = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}


def settings(kafka: Kafka, topic: str, **changes: Any) -> KafkaSettings:
    off = KafkaTopic("")
    base = KafkaSettings(
        brokers=kafka.address,
        group_id=f"group-{uuid.uuid4().hex[:8]}",
        traces=KafkaTopic(topic),
        logs=off,
        metrics=off,
        commit_seconds=0.1,
        drain_seconds=5.0,
        client=CLIENT,
    )
    return replace(base, **changes)


def receiver(
    intake: Intake,
    config: KafkaSettings,
    dead_letters: DeadLetterSink | None = None,
    registry: CollectorRegistry | None = None,
) -> KafkaReceiver:
    metrics = KafkaMetrics(registry or CollectorRegistry())
    return KafkaReceiver(intake, config, SingleTenant("team"), dead_letters or DeadLetters(), metrics)


def eventually(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def numbered(count: int, start: int = 0) -> list[bytes]:
    """Requests that can be told apart."""
    return [exports.span_json(f"span-{number}") for number in range(start, start + count)]


def bodies(recorder: Recorder) -> list[bytes]:
    return [body for _, _, body in recorder.submitted]


class DeadLetters:
    def __init__(self) -> None:
        self.kept: list[tuple[Signal, str, bytes, str]] = []
        self.failures: list[Exception] = []

    async def dead_letter(self, signal: Signal, tenant: str, body: bytes, reason: str) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.kept.append((signal, tenant, body, reason))


def test_each_signal_has_its_topic_and_its_encoding(kafka: Kafka, recorder: Recorder, loop: Loop) -> None:
    topics = {signal: kafka.topic() for signal in Signal}
    config = settings(
        kafka,
        "",
        traces=KafkaTopic(topics[Signal.TRACES], "otlp_json"),
        logs=KafkaTopic(topics[Signal.LOGS]),
        metrics=KafkaTopic(topics[Signal.METRICS]),
    )
    kafka.produce(topics[Signal.TRACES], exports.span_json())
    kafka.produce(topics[Signal.LOGS], exports.logs())
    kafka.produce(topics[Signal.METRICS], exports.metrics())
    with serving(receiver(recorder, config), loop):
        eventually(lambda: len(recorder.submitted) == 3)
    found = {signal: (tenant, body) for signal, tenant, body in recorder.submitted}
    assert found[Signal.LOGS] == ("team", exports.logs())
    assert found[Signal.METRICS] == ("team", exports.metrics())
    assert b"chat" in found[Signal.TRACES][1]
    assert not found[Signal.TRACES][1].startswith(b"{")


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_compression_is_read(kafka: Kafka, recorder: Recorder, loop: Loop, compression: str) -> None:
    topic = kafka.topic()
    kafka.produce(topic, *[exports.traces(spans=20)] * 10, properties={"compression.type": compression})
    with serving(receiver(recorder, settings(kafka, topic)), loop):
        eventually(lambda: len(recorder.submitted) == 10)
    assert set(bodies(recorder)) == {exports.traces(spans=20)}


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_both_group_protocols_work(kafka: Kafka, recorder: Recorder, loop: Loop, protocol: str) -> None:
    if protocol == "consumer" and not kafka.real:
        pytest.skip("the mock of a broker has no KIP-848 groups: a real one needs Java 17 and Maven")
    topic = kafka.topic()
    kafka.produce(topic, exports.traces())
    client = CLIENT if protocol == "classic" else {"group_protocol": "consumer"}
    with serving(receiver(recorder, config := settings(kafka, topic, client=client)), loop):
        eventually(lambda: recorder.submitted)
    assert kafka.committed(config.group_id, topic) == 1


def test_an_offset_is_committed_after_its_message_is_stored_and_not_before(kafka: Kafka, loop: Loop) -> None:
    topic = kafka.topic()
    first_waits = asyncio.Event()

    class Intake(Recorder):
        async def submit(
            self, signal: Signal, tenant: str, body: bytes, *, until_stored: bool = False
        ) -> Acknowledgement:
            assert until_stored, "the spool is not enough"
            self.submitted.append((signal, tenant, body))
            if len(self.submitted) == 1:
                await first_waits.wait()
            return STORED

    intake = Intake()
    config = settings(kafka, topic)
    kafka.produce(topic, *[exports.traces()] * 5)
    with serving(receiver(intake, config), loop):
        eventually(lambda: len(intake.submitted) == 5)
        time.sleep(0.5)
        assert kafka.committed(config.group_id, topic) < 0  # four are stored, but the first of all is not
        loop.run(_set(first_waits))
        eventually(lambda: kafka.committed(config.group_id, topic) == 5)


async def _set(event: asyncio.Event) -> None:
    event.set()


def test_a_poison_message_becomes_a_dead_letter_and_its_neighbours_are_stored(kafka: Kafka, loop: Loop) -> None:
    topic, dead_letters, registry = kafka.topic(), DeadLetters(), CollectorRegistry()
    dead_letters.failures = [Unavailable("not now", 0.05)]
    good = numbered(2)
    recorder = Recorder()
    config = settings(kafka, topic, traces=KafkaTopic(topic, "otlp_json"))
    kafka.produce(topic, good[0], b'{"resourceSpans": 5}', b"\xff\xfe", None, b"", good[1])
    with serving(receiver(recorder, config, dead_letters, registry), loop):
        eventually(lambda: len(recorder.submitted) == 2)
        eventually(lambda: kafka.committed(config.group_id, topic) == 6)
    assert sorted((signal, tenant, body) for signal, tenant, body, _ in dead_letters.kept) == [
        (Signal.TRACES, "team", b'{"resourceSpans": 5}'),
        (Signal.TRACES, "team", b"\xff\xfe"),
    ]
    assert any("resourceSpans" in reason for *_, reason in dead_letters.kept)
    assert recorder.refusals == [(Signal.TRACES, "bad_json")] * 2
    assert counted(registry) == {"stored": 2, "refused": 2, "empty": 2}


def test_much_poison_is_counted_and_makes_one_line_in_the_log_that_quotes_nothing(
    kafka: Kafka, recorder: Recorder, loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    topic, registry = kafka.topic(), CollectorRegistry()
    config = settings(kafka, topic, traces=KafkaTopic(topic, "otlp_json"))
    kafka.produce(topic, *[b'{"resourceSpans": "my secret"}'] * 40)
    with serving(receiver(recorder, config, DeadLetters(), registry), loop):
        eventually(lambda: kafka.committed(config.group_id, topic) == 40)
    assert counted(registry) == {"refused": 40}
    lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in lines] == ["a Kafka message cannot be read: it is a dead letter"]
    assert vars(lines[0])["topic"] == topic
    assert "secret" not in str(vars(lines[0]))


def counted(registry: CollectorRegistry) -> dict[str, int]:
    """Messages by outcome."""
    found: Counter[str] = Counter()
    for metric in registry.collect():
        for sample in metric.samples:
            if sample.name == "llmhub_receivers_kafka_messages_total":
                found[sample.labels["outcome"]] += int(sample.value)
    return dict(found)


def test_what_the_pipeline_calls_invalid_is_not_tried_again(kafka: Kafka, loop: Loop) -> None:
    topic, registry, recorder = kafka.topic(), CollectorRegistry(), Recorder()
    recorder.failures = [DeadLettered("the store cannot read it"), InvalidRequest("cut off")]
    config, dead_letters = settings(kafka, topic), DeadLetters()
    kafka.produce(topic, exports.traces(2), exports.traces()[:-3], exports.traces())
    with serving(receiver(recorder, config, dead_letters, registry), loop):
        eventually(lambda: kafka.committed(config.group_id, topic) == 3)
    assert bodies(recorder) == [exports.traces(2), exports.traces()[:-3], exports.traces()]
    assert counted(registry) == {"invalid": 2, "stored": 1}
    assert len(dead_letters.kept) == 1  # the first one is kept by the pipeline


def test_a_message_above_the_limit_is_a_dead_letter(kafka: Kafka, recorder: Recorder, loop: Loop) -> None:
    topic, dead_letters = kafka.topic(), DeadLetters()
    config = settings(kafka, topic, max_message_bytes=100)
    kafka.produce(topic, b"x" * 101, exports.traces()[:100])
    with serving(receiver(recorder, config, dead_letters), loop):
        eventually(lambda: kafka.committed(config.group_id, topic) == 2)
    ((_, _, body, reason),) = dead_letters.kept
    assert body == b"x" * 101
    assert "receivers.kafka.max_message_bytes is 100" in reason
    assert bodies(recorder) == [exports.traces()[:100]]


def test_while_the_store_is_away_one_message_asks_and_afterwards_all_are_stored(kafka: Kafka, loop: Loop) -> None:
    topic, recorder = kafka.topic(), Recorder(Unavailable("the store is away", 0.05))
    config = settings(kafka, topic)
    sent = [exports.traces(spans) for spans in range(1, 101)]
    kafka.produce(topic, *sent)
    with serving(receiver(recorder, config), loop):
        eventually(lambda: recorder.submitted)
        time.sleep(1.0)
        assert kafka.committed(config.group_id, topic) < 0
        attempts = len(recorder.submitted)
        assert attempts < 100 + 1.0 / 0.05 + 20  # each at most once, then the one that asks again and again
        recorder.answer = STORED
        eventually(lambda: kafka.committed(config.group_id, topic) == 100)
    assert set(bodies(recorder)[attempts - 1 :]) >= set(sent[1:])
    assert set(bodies(recorder)) == set(sent)


def test_one_partition_that_is_refused_does_not_stop_another(kafka: Kafka, loop: Loop) -> None:
    topic = kafka.topic(partitions=2)
    refused, good = exports.traces(1), exports.traces(2)

    class Intake(Recorder):
        async def submit(
            self, signal: Signal, tenant: str, body: bytes, *, until_stored: bool = False
        ) -> Acknowledgement:
            if body == refused:
                raise Overloaded("this one has had its share", 0.05)
            return await super().submit(signal, tenant, body, until_stored=until_stored)

    intake, config = Intake(), settings(kafka, topic)
    kafka.produce(topic, *[refused] * 20, partition=0)
    kafka.produce(topic, *[good] * 20, partition=1)
    with serving(receiver(intake, config), loop):
        eventually(lambda: kafka.committed(config.group_id, topic, partition=1) == 20)
        assert kafka.committed(config.group_id, topic, partition=0) < 0


def test_a_message_that_fails_for_no_known_reason_does_not_stop_its_partition(
    kafka: Kafka, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receivers.kafka.receiver._UNEXPECTED_SECONDS", 0.01)
    topic, dead_letters, poison = kafka.topic(), DeadLetters(), exports.traces(3)
    dead_letters.failures = [ZeroDivisionError("another defect") for _ in range(10)]

    class Intake(Recorder):
        async def submit(
            self, signal: Signal, tenant: str, body: bytes, *, until_stored: bool = False
        ) -> Acknowledgement:
            if body == poison:
                raise ZeroDivisionError("a defect")
            return await super().submit(signal, tenant, body, until_stored=until_stored)

    intake, config = Intake(), settings(kafka, topic)
    kafka.produce(topic, exports.traces(), poison, exports.traces())
    with serving(receiver(intake, config, dead_letters), loop):
        eventually(lambda: kafka.committed(config.group_id, topic) == 3)
    assert [(body, reason) for _, _, body, reason in dead_letters.kept] == [(poison, "a defect")]
    assert len(intake.submitted) == 2


def test_a_consumer_that_fails_is_opened_again_until_that_works(
    kafka: Kafka, recorder: Recorder, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receivers.kafka.consumer._RESTART_SECONDS", 0.05)
    topic = kafka.topic()
    config = settings(kafka, topic)
    serves = receiver(recorder, config)
    handle, reopen = serves.received, KafkaConsumer._open
    failures: list[Exception] = [
        ZeroDivisionError("a defect"),
        ListenError("too many open files"),
        ListenError("still"),
    ]

    def received(batch: list[Received]) -> None:
        if len(failures) == 3:
            raise failures.pop(0)
        handle(batch)

    def opened(consumer: KafkaConsumer) -> confluent_kafka.Consumer:
        if 0 < len(failures) < 3:
            raise failures.pop(0)
        return reopen(consumer)

    monkeypatch.setattr(serves, "received", received)
    monkeypatch.setattr(KafkaConsumer, "_open", opened)
    with serving(serves, loop):
        kafka.produce(topic, exports.traces())
        eventually(lambda: kafka.committed(config.group_id, topic) == 1)
    assert failures == []


def test_a_defect_in_decoding_does_not_stop_a_partition(
    kafka: Kafka, recorder: Recorder, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, dead_letters, registry = kafka.topic(), DeadLetters(), CollectorRegistry()
    real = otlp_json.to_protobuf

    def defective(signal: Signal, body: bytes) -> bytes:
        return real(signal, body) if b"good" in body else bytes([1 // 0])

    monkeypatch.setattr("receivers.kafka.receiver.otlp_json.to_protobuf", defective)
    config = settings(kafka, topic, traces=KafkaTopic(topic, "otlp_json"))
    kafka.produce(topic, exports.span_json("bad"), exports.span_json("good"))
    with serving(receiver(recorder, config, dead_letters, registry), loop):
        eventually(lambda: kafka.committed(config.group_id, topic) == 2)
    assert [body for _, _, body, _ in dead_letters.kept] == [exports.span_json("bad")]
    assert counted(registry) == {"failed": 1, "stored": 1}


def test_no_more_is_taken_than_there_is_room_for_and_the_group_is_not_left(kafka: Kafka, loop: Loop) -> None:
    topic, registry = kafka.topic(), CollectorRegistry()
    release = asyncio.Event()

    class Intake(Recorder):
        async def submit(
            self, signal: Signal, tenant: str, body: bytes, *, until_stored: bool = False
        ) -> Acknowledgement:
            self.submitted.append((signal, tenant, body))
            await release.wait()
            return STORED

    intake = Intake()
    # A member that does not poll for so long is thrown out of its group.
    client = {**CLIENT, "max.poll.interval.ms": 6000}
    config = settings(kafka, topic, max_pending_messages=50, client=client)
    kafka.produce(topic, *[exports.traces()] * 2000)
    with serving(receiver(intake, config, None, registry), loop):
        eventually(lambda: len(intake.submitted) >= 50)
        time.sleep(7.0)
        assert len(intake.submitted) <= 50 + 500
        assert registry.get_sample_value("llmhub_receivers_kafka_lag", {"topic": topic, "partition": "0"}) == 2000
        loop.run(_set(release))
        eventually(lambda: kafka.committed(config.group_id, topic) == 2000)
    assert len(intake.submitted) == 2000
    assert registry.get_sample_value("llmhub_receivers_kafka_pending_bytes") == 0
    assert registry.get_sample_value("llmhub_receivers_kafka_rebalances_total", {"event": "lost"}) is None


def test_after_a_stop_the_next_receiver_goes_on_where_the_last_one_was(kafka: Kafka, loop: Loop) -> None:
    topic = kafka.topic()
    config = settings(kafka, topic)
    first, second = Recorder(delay=0.2), Recorder()
    kafka.produce(topic, *[exports.traces(spans) for spans in range(1, 51)])
    with serving(receiver(first, config), loop):
        eventually(lambda: first.submitted)
    kafka.produce(topic, *[exports.traces(spans) for spans in range(51, 101)])
    with serving(receiver(second, config), loop):
        eventually(lambda: kafka.committed(config.group_id, topic) == 100)
    assert len(first.submitted) + len(second.submitted) == 100  # a stop in peace repeats nothing
    assert {*bodies(first), *bodies(second)} == {exports.traces(spans) for spans in range(1, 101)}


def test_a_rebalance_while_messages_flow_loses_none(kafka: Kafka, loop: Loop) -> None:
    if not kafka.real:
        pytest.skip("the mock of a broker gives a second member no partitions: a real one needs Java 17 and Maven")
    topic = kafka.topic(partitions=4)
    config = settings(kafka, topic)
    sent = numbered(400)
    config = replace(config, traces=KafkaTopic(topic, "otlp_json"))
    first, second, registry = Recorder(delay=0.05), Recorder(delay=0.05), CollectorRegistry()

    def send(part: int) -> None:
        for partition in range(4):
            kafka.produce(topic, *sent[part * 100 + partition * 25 :][:25], partition=partition)

    send(0)
    with serving(receiver(first, config, None, registry), loop):
        eventually(lambda: first.submitted)
        with serving(receiver(second, config), loop):
            for part in (1, 2):
                send(part)
                time.sleep(0.5)
            eventually(lambda: second.submitted)
            eventually(lambda: len({*bodies(first), *bodies(second)}) == 300)
        send(3)
        eventually(lambda: sum(kafka.committed(config.group_id, topic, each) for each in range(4)) == 400)
    assert len({*bodies(first), *bodies(second)}) == 400
    assert len(first.submitted) + len(second.submitted) == 400  # what is in flight is brought to its end first
    assert registry.get_sample_value("llmhub_receivers_kafka_rebalances_total", {"event": "revoked"}) == 6


def test_brokers_that_are_away_do_not_keep_the_hub_from_starting(kafka: Kafka, recorder: Recorder, loop: Loop) -> None:
    registry = CollectorRegistry()
    config = replace(settings(kafka, "otlp_spans"), brokers="127.0.0.1:1")
    with serving(receiver(recorder, config, None, registry), loop):
        eventually(lambda: registry.get_sample_value("llmhub_receivers_kafka_errors_total", {"error": "_TRANSPORT"}))


def test_a_property_that_librdkafka_does_not_know_is_named(kafka: Kafka, recorder: Recorder, loop: Loop) -> None:
    config = settings(kafka, "otlp_spans", client={"sasl.pasword": "hunter2"})
    with pytest.raises(ListenError, match=r"sasl\.pasword.*receivers\.kafka\.client") as raised:
        loop.run(receiver(recorder, config).start())
    assert "hunter2" not in str(raised.value)
    assert "hunter2" not in repr(config)


def test_a_topic_that_does_not_exist_yet_is_found_when_it_does(kafka: Kafka, recorder: Recorder, loop: Loop) -> None:
    if not kafka.real:
        pytest.skip("the mock of a broker makes every topic that it is asked for: a real one needs Java 17 and Maven")
    name = f"later-{uuid.uuid4().hex[:8]}"
    client = {**CLIENT, "topic.metadata.refresh.interval.ms": 200}
    with serving(receiver(recorder, settings(kafka, name, client=client)), loop):
        time.sleep(0.5)
        kafka.topic(name=name)
        kafka.produce(name, exports.traces())
        eventually(lambda: recorder.submitted)
