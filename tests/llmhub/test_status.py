"""The status while requests come in, wait and are lost."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
import zlib
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from prometheus_client import CollectorRegistry

from collector.assembly import Collector
from collector.breaker import Breaker
from collector.envelope import wrap
from collector.settings import PipelineSettings
from collector.signals import Signal
from collector.spool import segment
from collector.spool.segment import write_all
from llmhub import status as module
from llmhub.status import Status
from storage import queries
from storage.embedded import EmbeddedStore
from storage.store import StoreError
from tests.collector.direct import store_whole
from tests.collector.flaky import FlakyStore
from tests.collector.requests import SECOND, gauge, logs, span, traces

FAST = PipelineSettings(flush_seconds=0.02)


async def started(store: Any, directory: Path) -> tuple[Collector, Status]:
    collector = Collector(store, FAST, CollectorRegistry(), directory / "spool", Breaker(recovery_seconds=0.2))
    await collector.start()
    return collector, Status(collector, store, FAST)


@pytest.fixture(autouse=True)
def _always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FRESH_SECONDS", 0.0)


async def send(collector: Collector, requests: int) -> None:
    for _ in range(requests):
        await collector.pipeline.submit(Signal.TRACES, "status", traces(span()).SerializeToString())


def test_requests_under_way_are_not_taken_for_lost(llm_store: EmbeddedStore, tmp_path: Path) -> None:
    async def main() -> list[dict[str, Any]]:
        collector, status = await started(llm_store, tmp_path)
        senders = [asyncio.create_task(send(collector, 8)) for _ in range(20)]
        reports = []
        while not all(task.done() for task in senders):
            reports.append(await status.report())
        await asyncio.gather(*senders)
        reports.append(await status.report())
        await collector.close()
        return reports

    reports = asyncio.run(main())
    ids = [report["store"]["request_ids"] for report in reports]
    assert all((each["missing"], each["twice"]) == (0, 0) for each in ids)
    assert all(report["imbalance"] == 0 for report in reports)
    assert (ids[-1]["stored"], ids[-1]["spooled"]) == (160, 0)


@pytest.mark.parametrize(
    ("signal", "request_"),
    [
        (Signal.TRACES, traces(span())),
        (Signal.LOGS, logs("text", time_unix_nano=time.time_ns() - 60 * SECOND)),
        (Signal.METRICS, gauge("queue", 7.0)),
    ],
    ids=lambda value: value if isinstance(value, Signal) else "",
)
def test_what_is_in_the_tables_is_what_was_received(
    llm_store: EmbeddedStore, signal: Signal, request_: Message
) -> None:
    tenant = f"status-{uuid.uuid4().hex}"
    minutes_ago, now = time.time_ns() - 300 * SECOND, int(time.time() * 1000)
    body = request_.SerializeToString()
    store_whole(
        llm_store, [wrap(signal, tenant, body, request_id=zlib.crc32(tenant.encode()), received_ns=minutes_ago)]
    )
    differences = llm_store.rows(queries.text("ledger_difference"), params={"before": str(now)})
    assert [row for row in differences if row["tenant"] == tenant] == []
    (account,) = llm_store.rows(
        "SELECT received, stored FROM ingest_ledger WHERE tenant = {t:String}", params={"t": tenant}
    )
    assert (account["received"], account["stored"]) == (1, 1)


def test_what_waits_in_the_spool_is_neither_stored_nor_lost(llm_store: EmbeddedStore, tmp_path: Path) -> None:
    flaky: Any = FlakyStore(llm_store)

    async def main() -> tuple[dict[str, Any], dict[str, Any]]:
        collector, status = await started(flaky, tmp_path)
        await send(collector, 2)
        flaky.error = StoreError("connection refused")
        await send(collector, 3)
        waiting = await status.report()
        flaky.error = None
        while collector.spool.waiting():
            await asyncio.sleep(0.02)
        drained = await status.report()
        await collector.close()
        return waiting, drained

    waiting, drained = asyncio.run(main())
    ids = waiting["store"]["request_ids"]
    assert (ids["stored"], ids["spooled"], ids["missing"]) == (2, 3, 0)
    (row,) = waiting["ledger"]
    assert (row["received"], row["stored"], row["under_way"]) == (5, 2, 3)
    assert waiting["breaker"]["state"] != "closed"
    assert any("connection refused" in problem for problem in waiting["problems"])
    assert drained["store"]["request_ids"]["stored"] == 5


def test_a_disk_that_is_slow_holds_up_who_asks_and_nobody_else(
    llm_store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, written = threading.Event(), threading.Event()

    def write_slowly(fd: int, *parts: bytes) -> None:
        writing.set()
        written.wait(10)
        write_all(fd, *parts)

    async def main() -> tuple[float, dict[str, Any]]:
        collector, status = await started(llm_store, tmp_path)
        monkeypatch.setattr(segment, "write_all", write_slowly)
        sending = asyncio.create_task(send(collector, 1))
        await asyncio.to_thread(writing.wait, 10)
        asked, since = asyncio.create_task(status.report()), time.monotonic()
        await asyncio.sleep(0.2)
        seconds = time.monotonic() - since
        assert not asked.done()
        written.set()
        report = await asked
        await sending
        await collector.close()
        return seconds, report

    seconds, report = asyncio.run(main())
    assert seconds < 5.0
    assert report["imbalance"] == 0


def test_a_store_that_cannot_be_asked_proves_nothing(
    llm_store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise StoreError.clickhouse(241, "MEMORY_LIMIT_EXCEEDED", "would quote: secret")

    async def main() -> dict[str, Any]:
        flaky: Any = FlakyStore(llm_store)
        collector, status = await started(flaky, tmp_path)
        monkeypatch.setattr(flaky, "rows", refuse, raising=False)
        report = await status.report()
        await collector.close()
        return report

    report = asyncio.run(main())
    assert report["balanced"] is None
    assert "MEMORY_LIMIT_EXCEEDED" in str(report["problems"])
    assert "secret" not in str(report)
