"""The hub's own spans: nothing by default, one an insert when the OpenTelemetry API has an exporter."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)

from prometheus_client import CollectorRegistry
from collector.breaker import Breaker
from collector.dead_letters import DeadLetters
from collector.envelope import wrap
from collector.metrics import CollectorMetrics
from collector.signals import Signal
from collector.spool import Cipher
from collector.writer import Writer
from tests.collector.requests import span, traces

class Store:
    database = "llm"
    def insert(self, *args, **kwargs): pass
    def rows(self, *args, **kwargs): return []

letters = DeadLetters(Store(), Cipher(bytes(32)))
writer = Writer(Store(), Breaker(), letters, CollectorMetrics(CollectorRegistry()))
body = traces(span()).SerializeToString()
writer.write([wrap(Signal.TRACES, "t", body, request_id=1, received_ns=2**60)])
(span,) = exporter.get_finished_spans()
print(span.name, dict(span.attributes))
"""


def test_an_insert_is_a_span() -> None:
    # In a process of its own: the tracer provider can be set once.
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert done.stdout == "insert {'signal': 'traces', 'requests': 1}\n", done.stderr
