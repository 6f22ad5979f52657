"""The records of a request that the store has rejected, cut out of it so that they can be kept and sent again.

The rules are those of the views (storage/sql, `reason`); a test holds the two together. Only requests of which something
was rejected come here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from collector.signals import REQUESTS, Signal
from storage.schema import MAX_FUTURE_NANOSECONDS, MIN_TIME_UNIX_NANO

_NO_TRACE_ID = bytes(16)
_NO_SPAN_ID = bytes(8)
_KINDS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")


def rejected_part(signal: Signal, body: bytes, received_ns: int) -> bytes:
    """The request with its rejected records only. Raises DecodeError when `body` is not a request of `signal`."""
    request = REQUESTS[signal].FromString(body)
    latest = received_ns + MAX_FUTURE_NANOSECONDS
    _CUT[signal](request, latest)
    return request.SerializeToString()


def _cut_traces(request: Any, latest: int) -> None:
    _prune(request.resource_spans, "scope_spans", lambda scope: _keep(scope.spans, lambda s: _bad_span(s, latest)))


def _cut_logs(request: Any, latest: int) -> None:
    _prune(request.resource_logs, "scope_logs", lambda scope: _keep(scope.log_records, lambda r: _bad_log(r, latest)))


def _cut_metrics(request: Any, latest: int) -> None:
    def bad(point: Any) -> bool:
        return not MIN_TIME_UNIX_NANO <= point.time_unix_nano <= latest

    def keep(metric: Any) -> bool:
        kind = metric.WhichOneof("data")
        return kind in _KINDS and bool(_keep(getattr(metric, kind).data_points, bad))

    _prune(request.resource_metrics, "scope_metrics", lambda scope: _keep(scope.metrics, keep))


_CUT: dict[Signal, Callable[[Any, int], None]] = {
    Signal.TRACES: _cut_traces,
    Signal.LOGS: _cut_logs,
    Signal.METRICS: _cut_metrics,
}


def _prune(resources: Any, scopes: str, keep: Callable[[Any], int]) -> None:
    _keep(resources, lambda resource: _keep(getattr(resource, scopes), keep))


def _keep(repeated: Any, wanted: Callable[[Any], Any]) -> int:
    """Remove what is not wanted; returns how many are left."""
    kept = [item for item in repeated if wanted(item)]
    _replace(repeated, kept)
    return len(kept)


def _replace(repeated: Any, items: Iterable[Any]) -> None:
    copies = [type(item).FromString(item.SerializeToString()) for item in items]
    del repeated[:]
    repeated.extend(copies)


def _bad_span(span: Any, latest: int) -> bool:
    return (
        len(span.trace_id) != 16
        or span.trace_id == _NO_TRACE_ID
        or len(span.span_id) != 8
        or span.span_id == _NO_SPAN_ID
        or len(span.parent_span_id) not in (0, 8)
        or span.start_time_unix_nano < MIN_TIME_UNIX_NANO
        or max(span.start_time_unix_nano, span.end_time_unix_nano) > latest
    )


def _bad_log(record: Any, latest: int) -> bool:
    return (
        len(record.trace_id) not in (0, 16)
        or len(record.span_id) not in (0, 8)
        or 0 < record.time_unix_nano < MIN_TIME_UNIX_NANO
        or max(record.time_unix_nano, record.observed_time_unix_nano) > latest
    )
