"""A real Kafka broker: one node in KRaft mode, from the jars of Maven Central.

Needs Java 17 or newer on the PATH, and once `mvn` and the network: the jars (43 MB) are kept in the user's cache
directory. Starting takes about four seconds and 200 MB of memory. Where that is not to be had, the same tests run against
the mock of a broker that librdkafka brings.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import confluent_kafka
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

VERSION = "4.1.2"
JAVA = ("java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
START_SECONDS = 60
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>llmhub</groupId><artifactId>kafka-broker</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"""
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


class Kafka:
    """A broker and what tests do with it."""

    def __init__(self, address: str, real: bool) -> None:
        self.address = address
        self.real = real
        self._admin = AdminClient({"bootstrap.servers": address})

    def topic(self, partitions: int = 1, name: str = "") -> str:
        """A new topic; a mock has four partitions whatever is asked for."""
        name = name or f"topic-{uuid.uuid4().hex[:8]}"
        if self.real:
            (created,) = self._admin.create_topics([NewTopic(name, partitions)]).values()
            created.result(30)
        else:
            self._admin.list_topics(name, timeout=30)
        return name

    def produce(
        self, topic: str, *values: bytes | None, partition: int = 0, properties: Mapping[str, str] | None = None
    ) -> None:
        """Returns when the broker has them all, in this order."""
        producer = confluent_kafka.Producer({"bootstrap.servers": self.address, **(properties or {})})
        for value in values:
            producer.produce(topic, value, partition=partition)
        assert producer.flush(30) == 0

    def committed(self, group: str, topic: str, partition: int = 0) -> int:
        """The group's offset; negative when there is none."""
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.address, "group.id": group})
        try:
            (found,) = consumer.committed([TopicPartition(topic, partition)], timeout=30)
        finally:
            consumer.close()
        return int(found.offset)

    def consume(self, topic: str, count: int) -> list[bytes]:
        """The first `count` messages of the topic."""
        group = uuid.uuid4().hex
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.address, "group.id": group})
        partitions = self._admin.list_topics(topic, timeout=30).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        try:
            messages = consumer.consume(count, timeout=30)
        finally:
            consumer.close()
        assert len(messages) == count
        return [value for message in messages if isinstance(value := message.value(), bytes)]


class Missing(Exception):
    """A broker cannot be started here; str() says what is not there."""


def jars() -> Path:
    """The directory of the broker's jars. Raises Missing."""
    java = shutil.which("java") and subprocess.run(["java", "-version"], capture_output=True, text=True)
    version = re.search(r'version "(\d+)', java.stderr) if java else None
    if not version or int(version[1]) < 17:
        raise Missing("Java 17 is not installed")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llm-analytics-hub-tests"
    target = cache / f"kafka-{VERSION}"
    if not target.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        _download(cache, target)
    return target


def _download(cache: Path, target: Path) -> None:
    if shutil.which("mvn") is None:
        raise Missing("Maven is not installed, and the broker's jars are not in the cache yet")
    with tempfile.TemporaryDirectory(dir=cache) as fresh:
        Path(fresh, "pom.xml").write_text(_POM)
        command = ["mvn", "-q", "-B", _COPY, "-DoutputDirectory=jars", "-DincludeScope=runtime"]
        done = subprocess.run(command, cwd=fresh, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise Missing(f"Maven cannot fetch the broker: {done.stdout[-300:]}")
        with contextlib.suppress(OSError):  # another run was faster
            Path(fresh, "jars").rename(target)


@contextmanager
def running_broker(directory: Path) -> Iterator[str]:
    """The address 'host:port' of a broker with its data in `directory`. Raises Missing."""
    classpath = f"{jars()}/*"
    address, controller = _free_address(), _free_address()
    properties = directory / "server.properties"
    properties.write_text(_properties(directory / "data", address, controller))
    cluster = ("format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", str(properties))
    format_command = [*JAVA, "-cp", classpath, "kafka.tools.StorageTool", *cluster]
    subprocess.run(format_command, check=True, capture_output=True, timeout=START_SECONDS)
    with (directory / "broker.log").open("wb") as log:
        command = [*JAVA, "-cp", classpath, "kafka.Kafka", str(properties)]
        broker = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait_until_started(broker, directory / "broker.log")
        yield address
    finally:
        broker.kill()
        broker.wait(10)


def _wait_until_started(broker: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while b"Kafka Server started" not in log.read_bytes():
        if broker.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the broker did not start:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.05)


def _free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def _properties(data: Path, address: str, controller: str) -> str:
    return f"""
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{controller}
listeners=PLAINTEXT://{address},CONTROLLER://{controller}
controller.listener.names=CONTROLLER
log.dirs={data}
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.cleaner.enable=false
"""


@contextmanager
def mock_broker() -> Iterator[str]:
    """The address of a mock that lives as long as the client that made it."""
    client = AdminClient({"test.mock.num.brokers": 1})
    (broker,) = client.list_topics(timeout=10).brokers.values()
    yield f"{broker.host}:{broker.port}"
    del client
