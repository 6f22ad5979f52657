"""The player against a real gRPC server on a free port."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from llmhub.traffic import Export, Player, PlayerError, Totals
from tests.traffic.helpers import MONDAY, play

Answer = Callable[[int, grpc.ServicerContext], ExportTraceServiceResponse]


def accept(_: int, __: grpc.ServicerContext) -> ExportTraceServiceResponse:
    return ExportTraceServiceResponse()


@dataclass
class Collector(TraceServiceServicer):
    """Counts what comes; `answer` decides, given the number of the attempt."""

    answer: Answer = accept
    attempts: int = 0
    spans: int = 0
    under_way: int = 0
    most_under_way: int = 0
    metadata: dict[str, str | bytes] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def Export(  # noqa: N802
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        with self.lock:
            self.attempts += 1
            attempt = self.attempts
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            self.metadata = dict(context.invocation_metadata())
            self.times.append(time.monotonic())
        try:
            answer = self.answer(attempt, context)
            self.spans += sum(len(s.spans) for r in request.resource_spans for s in r.scope_spans)
            return answer
        finally:
            with self.lock:
                self.under_way -= 1


@dataclass
class Running:
    collector: Collector
    endpoint: str


@pytest.fixture
def running() -> Iterator[Running]:
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.max_receive_message_length", 64 * 1024 * 1024)])
    add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield Running(collector, f"127.0.0.1:{port}")
    server.stop(None)


@pytest.fixture(scope="module")
def exports() -> list[Export]:
    return play(MONDAY, MONDAY + timedelta(hours=2), max_spans=64, max_wait=300.0)


def test_backfill_sends_all_and_counts_what_was_acknowledged(running: Running, exports: list[Export]) -> None:
    seen: list[Totals] = []
    with Player(running.endpoint, headers={"X-Api-Key": "k"}, in_flight=4) as player:
        totals = player.backfill(iter(exports), seen.append)
    assert totals.acknowledged == len(exports) == len(seen)
    assert totals.spans == running.collector.spans == sum(export.spans for export in exports)
    assert totals.calls == sum(export.calls for export in exports)
    assert (totals.failed, totals.rejected, totals.error) == (0, 0, "")
    assert totals.reached == max(export.due for export in exports)
    assert [one.acknowledged for one in seen] == list(range(1, len(exports) + 1))
    assert running.collector.metadata["x-api-key"] == "k"


def test_the_number_of_exports_under_way_is_bounded(running: Running, exports: list[Export]) -> None:
    def slowly(attempt: int, context: grpc.ServicerContext) -> ExportTraceServiceResponse:
        time.sleep(0.01)
        return ExportTraceServiceResponse()

    running.collector.answer = slowly
    with Player(running.endpoint, in_flight=3) as player:
        player.backfill(exports[:40])
    assert 1 < running.collector.most_under_way <= 3


def test_rejected_spans_are_counted_with_the_reason(running: Running, exports: list[Export]) -> None:
    running.collector.answer = lambda *_: ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(rejected_spans=2, error_message="too old")
    )
    with Player(running.endpoint) as player:
        totals = player.backfill(exports[:3])
    assert (totals.acknowledged, totals.rejected, totals.error) == (3, 6, "too old")
    assert totals.spans == sum(export.spans for export in exports[:3]) - 6


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_a_large_export_is_sent_again_when_the_hub_asks_for_it(running: Running, code: grpc.StatusCode) -> None:
    def busy_twice(attempt: int, context: grpc.ServicerContext) -> ExportTraceServiceResponse:
        if attempt <= 2:
            context.abort(code, "busy")
        return ExportTraceServiceResponse()

    running.collector.answer = busy_twice
    large = merged(play(MONDAY + timedelta(hours=9), MONDAY + timedelta(hours=10), max_wait=3600.0))
    assert len(large.body) > 1_000_000
    with Player(running.endpoint) as player:
        totals = player.backfill([large])
    assert (totals.acknowledged, totals.failed) == (1, 0)
    assert running.collector.attempts == 3


def test_an_export_that_is_wrong_is_not_sent_again(running: Running, exports: list[Export]) -> None:
    def refuse_first(attempt: int, context: grpc.ServicerContext) -> ExportTraceServiceResponse:
        if attempt == 1:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "cut short")
        return ExportTraceServiceResponse()

    running.collector.answer = refuse_first
    with Player(running.endpoint, in_flight=1) as player:
        totals = player.backfill(exports[:4])
    assert (totals.acknowledged, totals.failed, running.collector.attempts) == (3, 1, 4)
    assert totals.error == "INVALID_ARGUMENT: cut short"


def test_a_backfill_into_nothing_gives_up_and_names_the_endpoint(exports: list[Export]) -> None:
    with (
        Player("127.0.0.1:1", timeout=0.2, give_up_after=3, in_flight=1) as player,
        pytest.raises(PlayerError, match=r"\d exports in a row were not taken by 127\.0\.0\.1:1.*Check"),
    ):
        player.backfill(exports)


def test_live_sends_at_the_due_times(running: Running, exports: list[Export]) -> None:
    now = time.time()
    timed = [at(export, now + n * 0.15) for n, export in enumerate(exports[:4])]
    with Player(running.endpoint) as player:
        totals = player.live(timed, threading.Event())
    assert totals.acknowledged == 4
    distance = running.collector.times[-1] - running.collector.times[0]
    assert 0.35 < distance < 0.9


def test_live_at_a_speed_keeps_the_rhythm(running: Running, exports: list[Export]) -> None:
    timed = [at(export, 1000.0 + n * 10) for n, export in enumerate(exports[:4])]
    with Player(running.endpoint) as player:
        player.live(timed, threading.Event(), speed=100.0)
    distance = running.collector.times[-1] - running.collector.times[0]
    assert 0.25 < distance < 0.7


def test_live_stops_at_once_while_it_waits(running: Running, exports: list[Export]) -> None:
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    with Player(running.endpoint) as player:
        totals = player.live([at(exports[0], time.time() + 60)], stop)
    assert time.monotonic() - began < 2
    assert totals.acknowledged == 0


def test_live_goes_on_when_the_hub_fails(running: Running, exports: list[Export]) -> None:
    def fail_twice(attempt: int, context: grpc.ServicerContext) -> ExportTraceServiceResponse:
        if attempt <= 2:
            context.abort(grpc.StatusCode.INTERNAL, "oops")
        return ExportTraceServiceResponse()

    running.collector.answer = fail_twice
    with Player(running.endpoint, in_flight=1, give_up_after=1) as player:
        totals = player.live([at(export, 0.0) for export in exports[:5]], threading.Event())
    assert (totals.acknowledged, totals.failed, totals.failed_in_a_row) == (3, 2, 0)


def at(export: Export, due: float) -> Export:
    return Export(due, "traces", export.body, export.calls, export.spans)


def merged(exports: list[Export]) -> Export:
    # Concatenated messages of one type are the message with both contents.
    body = b"".join(export.body for export in exports)
    return Export(exports[-1].due, "traces", body, 0, sum(export.spans for export in exports))
