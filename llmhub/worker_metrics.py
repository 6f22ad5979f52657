"""The metrics of all workers as one exposition: each sample with the label `worker`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from llmhub.worker_process import WorkerProcess

log = logging.getLogger(__name__)

SUPERVISOR = "supervisor"


class SupervisorMetrics:
    """What the parent itself counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.restarts = Counter(
            "llmhub_workers_restarts", "Workers that ended by themselves and were started again", ("worker",), registry=registry
        )  # fmt: skip
        self.up = Gauge("llmhub_workers_up", "1 for a worker that serves", ("worker",), registry=registry)


class WorkerMetrics(Collector):
    """Asks every worker at each collection, in threads; one that does not answer is left out."""

    def __init__(self, workers: Sequence[WorkerProcess], own: CollectorRegistry) -> None:
        self._workers = workers
        self._own = own

    def collect(self) -> Iterator[Metric]:
        with ThreadPoolExecutor(len(self._workers)) as threads:
            texts = list(threads.map(_scrape, self._workers))
        families: dict[str, Metric] = {}
        for worker, text in [(SUPERVISOR, generate_latest(self._own).decode()), *texts]:
            _merge(families, worker, text_string_to_metric_families(text))
        yield from families.values()


def _scrape(worker: WorkerProcess) -> tuple[str, str]:
    try:
        status, body = worker.get("/metrics")
    except OSError as error:
        log.warning("a worker does not tell its metrics", extra={"worker": worker.number, "error": str(error)})
        return str(worker.number), ""
    return str(worker.number), body.decode() if status == 200 else ""


def _merge(families: dict[str, Metric], worker: str, found: Iterable[Metric]) -> None:
    for family in found:
        known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
        known.samples += [_labelled(sample, worker) for sample in family.samples]


def _labelled(sample: Sample, worker: str) -> Sample:
    return sample._replace(labels={"worker": worker, **sample.labels})
