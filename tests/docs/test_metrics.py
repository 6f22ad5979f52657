"""docs/metrics.md is what the program declares."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from collector.errors import HubError, InvalidRequest, Overloaded, Unavailable
from collector.ledger import Entry, Ledger
from collector.metrics import CollectorMetrics
from llmhub.worker_metrics import SupervisorMetrics
from receivers.events import EventMetrics
from receivers.intake import Refusal
from receivers.kafka import KafkaMetrics
from receivers.kafka.metrics import MessageOutcome
from receivers.tail import TailMetrics
from tests.docs.documents import code, document, rows

TEXT = document("docs/metrics.md")
METRICS = [row for row in rows(TEXT) if row[0].startswith("`llmhub_")]


def declared() -> dict[str, tuple[str, list[str]]]:
    """Type and labels of each metric by its name on /metrics."""
    registry = CollectorRegistry()
    for part in (CollectorMetrics, Ledger, EventMetrics, TailMetrics, KafkaMetrics, SupervisorMetrics):
        part(registry)
    instruments = list(registry._collector_to_names)
    found = {}
    for instrument in instruments:
        families: Any = instrument.describe() if isinstance(instrument, MetricWrapperBase) else instrument.collect()
        for family in families:
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labelled = instrument if isinstance(instrument, MetricWrapperBase) else family
            found[name] = (family.type, list(labelled._labelnames))
    return found


def test_every_metric_is_documented_with_type_and_labels() -> None:
    documented = {
        code(row[0]): (row[1], [label.strip("` ") for label in row[2].split(",") if label]) for row in METRICS
    }
    assert documented == declared()
    assert len(METRICS) == len(documented)


def test_every_entry_of_the_ledger_is_explained() -> None:
    assert {str(entry) for entry in Entry} <= {row[0].strip("`") for row in rows(TEXT)}


def test_every_metric_has_a_unit_and_a_meaning() -> None:
    assert all(row[3] and row[4] for row in METRICS)


def test_every_reason_of_a_refusal_is_explained() -> None:
    first_cells = {row[0].strip("`") for row in rows(TEXT)}
    assert {str(reason) for reason in Refusal} <= first_cells


def test_every_outcome_of_a_request_is_explained() -> None:
    told = (kind.outcome for kind in (HubError, InvalidRequest, Overloaded, Unavailable))
    outcomes = {"stored", "partial", *told, *map(str, MessageOutcome)}
    assert outcomes <= {row[0].strip("`") for row in rows(TEXT)}
