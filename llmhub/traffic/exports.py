"""Spans of many traces, put in order of their end and packed into export requests."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from llmhub.traffic.dialects import DIALECTS, Dialect
from llmhub.traffic.flows import Deployment, Trace
from llmhub.traffic.otlp import Scope, resource


@dataclass(frozen=True, slots=True)
class Export:
    """One `ExportTraceServiceRequest`, with the spans of one deployment of one service.

    `due` is the unix time in seconds at which its last span ends; `calls` counts model calls.
    """

    due: float
    signal: Literal["traces"]
    body: bytes
    calls: int
    spans: int


class _Ended(NamedTuple):
    end: int
    # Breaks ties, so that spans themselves are never compared.
    number: int
    deployment: Deployment
    scope: Scope
    span: Span
    is_call: bool


@dataclass(slots=True)
class _Batch:
    opened: int
    ended: list[_Ended] = field(default_factory=list)


def pack(traces: Iterable[Trace], *, max_spans: int, max_wait: float) -> Iterator[Export]:
    """Exports of traces that come in order of their start.

    An export is closed when it holds `max_spans` spans or its first span is `max_wait` seconds old, so the due
    times are in order to within `max_wait`. Memory: the spans of the traces under way and of the open exports.
    """
    batches = _Batches(max_spans, int(max_wait * 1e9))
    for ended in _by_end(traces):
        yield from batches.add(ended)
    yield from batches.flush()


def _by_end(traces: Iterable[Trace]) -> Iterator[_Ended]:
    waiting: list[_Ended] = []
    dialects = {name: make() for name, make in DIALECTS.items()}
    number = 0
    for trace in traces:
        now = int(trace.start * 1e9)
        while waiting and waiting[0].end <= now:
            yield heapq.heappop(waiting)
        for ended in _encode(trace, dialects[trace.deployment.service.dialect], number):
            heapq.heappush(waiting, ended)
        number += len(trace.steps)
    while waiting:
        yield heapq.heappop(waiting)


def _encode(trace: Trace, dialect: Dialect, number: int) -> Iterator[_Ended]:
    for offset, step in enumerate(trace.steps):
        scope, span = dialect.encode(trace, step)
        yield _Ended(step.end, number + offset, trace.deployment, scope, span, step.call is not None)


class _Batches:
    """The open exports, oldest first."""

    def __init__(self, max_spans: int, max_wait: int) -> None:
        self._max_spans = max_spans
        self._max_wait = max_wait
        self._open: dict[Deployment, _Batch] = {}

    def add(self, ended: _Ended) -> Iterator[Export]:
        while self._open:
            deployment, oldest = next(iter(self._open.items()))
            if ended.end - oldest.opened < self._max_wait:
                break
            yield self._close(deployment)
        batch = self._open.setdefault(ended.deployment, _Batch(ended.end))
        batch.ended.append(ended)
        if len(batch.ended) >= self._max_spans:
            yield self._close(ended.deployment)

    def flush(self) -> Iterator[Export]:
        for deployment in list(self._open):
            yield self._close(deployment)

    def _close(self, deployment: Deployment) -> Export:
        ended = self._open.pop(deployment).ended
        request = ExportTraceServiceRequest()
        of_resource = request.resource_spans.add(resource=resource(deployment))
        by_scope: dict[Scope, list[Span]] = {}
        for one in ended:
            by_scope.setdefault(one.scope, []).append(one.span)
        for scope, spans in by_scope.items():
            of_scope = of_resource.scope_spans.add(schema_url=scope.schema_url)
            of_scope.scope.name, of_scope.scope.version = scope.name, scope.version
            of_scope.spans.extend(spans)
        calls = sum(one.is_call for one in ended)
        return Export(ended[-1].end / 1e9, "traces", request.SerializeToString(), calls, len(ended))
