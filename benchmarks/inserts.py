"""The ways without a hub: a process that inserts batches into a store of its own."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection
from typing import Any
from uuid import uuid4

from benchmarks.load import Requests, Sent, Workload
from benchmarks.processes import BenchmarkError, Query, Watched, fresh_directory, measure
from benchmarks.result import Limit, Result
from collector.settings import PipelineSettings
from llmhub.config import Config
from llmhub.hub import prepare_store
from storage.embedded import EmbeddedStore
from storage.store import Store

NATIVE_BLOCKS = 8


def measure_naive(workload: Workload, limit: Limit) -> Result:
    return _apart(_naive, workload, limit)


def measure_native(workload: Workload, limit: Limit) -> Result:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        blocks = pool.apply(native_blocks, (workload,))
    return _apart(_native, workload, limit, blocks)


def batch_requests(workload: Workload) -> int:
    """Requests in one insert of the other ways: as many as fit into collector.batch_bytes."""
    return max(1, PipelineSettings().batch_bytes // len(next(iter(Requests(workload)))))


def _apart(way: Callable[..., None], *arguments: Any) -> Result:
    """In a process of its own, for the engine takes a process's only place, and CPU is read by process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=way, args=(theirs, *arguments))
    process.start()
    theirs.close()
    try:
        result: Result = ours.recv()
    except EOFError:
        raise BenchmarkError("a way that runs in a process of its own failed; its traceback is above") from None
    finally:
        process.join()
    return result


@contextmanager
def _fresh_store() -> Iterator[EmbeddedStore]:
    with fresh_directory() as directory:
        store = prepare_store(Config().with_dsn(f"chdb://{directory / 'store'}"))
        assert isinstance(store, EmbeddedStore)
        try:
            yield store
        finally:
            store.close()


def _naive(answer: Connection, workload: Workload, limit: Limit) -> None:
    """Everything is decoded and stored; only receiving it over gRPC is spared."""
    supply, requests = iter(Requests(workload)), batch_requests(workload)
    with _fresh_store() as store:
        batches = (list(islice(supply, requests)) for _ in itertools.count())
        answer.send(_measure_inserts("naive", workload, limit, batches, partial(_insert_json, store), store.rows))


def _insert_json(store: Store, batch: Sequence[bytes]) -> None:
    store.insert("otel_traces", _json_rows(batch), fmt="JSONEachRow")


def native_blocks(workload: Workload) -> list[bytes]:
    """What `otel_traces` holds of NATIVE_BLOCKS batches, an insert each."""
    supply, requests, blocks = iter(Requests(workload)), batch_requests(workload), []
    with _fresh_store() as store:
        for _ in range(NATIVE_BLOCKS):
            _insert_json(store, list(islice(supply, requests)))
            blocks.append(store.query("SELECT * FROM otel_traces", fmt="Native"))
            store.execute("TRUNCATE TABLE otel_traces")
    return blocks


def _native(answer: Connection, workload: Workload, limit: Limit, blocks: Sequence[bytes]) -> None:
    with _fresh_store() as store:
        batches = ([block] for block in itertools.cycle(blocks))
        insert, inserts = partial(_insert_native, store), PipelineSettings().concurrent_inserts
        answer.send(_measure_inserts("native", workload, limit, batches, insert, store.rows, inserts))


def _insert_native(store: Store, batch: Sequence[bytes]) -> None:
    """A block comes again after NATIVE_BLOCKS others, so it must not be taken for a repetition."""
    store.insert("otel_traces", b"".join(batch), fmt="Native", settings={"insert_deduplication_token": uuid4().hex})


def _measure_inserts(
    way: str,
    workload: Workload,
    limit: Limit,
    batches: Iterator[Sequence[bytes]],
    insert: Callable[[Sequence[bytes]], None],
    query: Query,
    inserts: int = 1,
) -> Result:
    """`inserts` at a time; making up the batches counts, about 1 us a span."""
    insert(next(batches))
    send = partial(_send, workload, limit, batches, insert, inserts)
    return measure(way, workload, query, [Watched(way, os.getpid())], send)


def _send(
    workload: Workload,
    limit: Limit,
    batches: Iterator[Sequence[bytes]],
    insert: Callable[[Sequence[bytes]], None],
    inserts: int,
) -> Sent:
    requests, sent, started = batch_requests(workload), Sent(), time.perf_counter()
    with ThreadPoolExecutor(inserts) as pool:
        under_way: set[Future[None]] = set()
        while time.perf_counter() - started < limit.seconds and not 0 < limit.spans <= sent.spans:
            batch = next(batches)
            under_way.add(pool.submit(insert, batch))
            sent.requests += requests
            sent.spans += requests * workload.spans
            sent.bytes += sum(map(len, batch))
            if len(under_way) == inserts:
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                for each in done:
                    each.result()
        for each in under_way:
            each.result()
    sent.seconds = time.perf_counter() - started
    return sent


def _json_rows(batch: Sequence[bytes]) -> bytes:
    """Rows of otel_traces, as one writes them who decodes OTLP with the generated classes."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    lines = []
    for body in batch:
        for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _map(resource_spans.resource.attributes)
            for scope_spans in resource_spans.scope_spans:
                scope = scope_spans.scope
                lines += [json.dumps(_row(span, resource, scope)) for span in scope_spans.spans]
    return "\n".join(lines).encode()


def _row(span: Any, resource: dict[str, str], scope: Any) -> dict[str, Any]:
    return {
        "Timestamp": _timestamp(span.start_time_unix_nano),
        "TraceId": span.trace_id.hex(),
        "SpanId": span.span_id.hex(),
        "ParentSpanId": span.parent_span_id.hex(),
        "TraceState": span.trace_state,
        "SpanName": span.name,
        "SpanKind": ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")[span.kind],
        "ServiceName": resource.get("service.name", ""),
        "ResourceAttributes": resource,
        "ScopeName": scope.name,
        "ScopeVersion": scope.version,
        "SpanAttributes": _map(span.attributes),
        "Duration": span.end_time_unix_nano - span.start_time_unix_nano,
        "StatusCode": ("Unset", "Ok", "Error")[span.status.code],
        "StatusMessage": span.status.message,
        "Events.Timestamp": [_timestamp(event.time_unix_nano) for event in span.events],
        "Events.Name": [event.name for event in span.events],
        "Events.Attributes": [_map(event.attributes) for event in span.events],
        "Links.TraceId": [link.trace_id.hex() for link in span.links],
        "Links.SpanId": [link.span_id.hex() for link in span.links],
        "Links.TraceState": [link.trace_state for link in span.links],
        "Links.Attributes": [_map(link.attributes) for link in span.links],
    }


def _timestamp(nanoseconds: int) -> str:
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09d}"


def _map(attributes: Any) -> dict[str, str]:
    return {attribute.key: _text(attribute.value) for attribute in attributes}


def _text(value: Any) -> str:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return str(value.string_value)
    if kind == "bool_value":
        return "true" if value.bool_value else "false"
    if kind == "array_value":
        return json.dumps([_text(item) for item in value.array_value.values])
    return str(getattr(value, kind)) if kind else ""
