"""Files into a store, in this process."""

from __future__ import annotations

import asyncio
import gzip
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from collector.pipeline import PipelineSettings
from collector.spool import SpoolSettings
from llmhub.config import Config, ReceiversConfig
from llmhub.ingest import Summary, ingest
from storage.embedded import EmbeddedStore
from tests.collector.requests import call, span, traces

FAST = PipelineSettings(flush_seconds=0.02)


@pytest.fixture
def tenant() -> str:
    return f"tenant-{uuid.uuid4().hex[:8]}"


def run(store: EmbeddedStore, tenant: str, *paths: Path, settings: PipelineSettings = FAST) -> Summary:
    begun: list[Path] = []
    settings = replace(settings, spool=SpoolSettings(path=str(paths[0].parent / "spool")))
    config = Config(collector=settings, receivers=ReceiversConfig(tenant=tenant))
    summary = asyncio.run(ingest(store, config, paths, begun.append))
    assert begun == list(paths)
    return summary


def stored(store: EmbeddedStore, tenant: str) -> int:
    sql = "SELECT count() AS n FROM otel_traces WHERE Tenant = {t:String}"
    return int(store.rows(sql, params={"t": tenant})[0]["n"])


def file(directory: Path, name: str, body: bytes) -> Path:
    path = directory / name
    path.write_bytes(body)
    return path


def test_every_request_of_every_file_is_stored(llm_store: EmbeddedStore, tenant: str, tmp_path: Path) -> None:
    body, other = (traces(call(), span()).SerializeToString() for _ in range(2))
    files = [file(tmp_path, "a.pb", body), file(tmp_path, "b.pb.gz", gzip.compress(other)), file(tmp_path, "c.pb", b"")]
    assert run(llm_store, tenant, *files) == Summary(requests=2, stored=2)
    assert stored(llm_store, tenant) == 4


def test_a_bad_file_is_told_and_the_others_are_stored(llm_store: EmbeddedStore, tenant: str, tmp_path: Path) -> None:
    body = traces(span()).SerializeToString()
    files = [
        file(tmp_path, "cut.traces.pb", body[:-3]),
        file(tmp_path, "good.pb", body),
        file(tmp_path, "notes.txt", b"hello"),
        tmp_path / "missing.pb",
        file(tmp_path, "late.pb", traces(span(start_time_unix_nano=1), span()).SerializeToString()),
    ]
    summary = run(llm_store, tenant, *files)
    assert (summary.requests, summary.stored, summary.rejected_records) == (3, 2, 1)
    told = {problem.split(":")[0]: problem for problem in summary.problems}
    assert set(told) == {str(tmp_path / name) for name in ("cut.traces.pb", "notes.txt", "missing.pb", "late.pb")}
    assert "not valid protobuf" in told[str(files[0])]
    assert "No such file" in told[str(files[3])]
    assert "1 records rejected: start_time_unix_nano is before 2010-01-01" in told[str(files[4])]
    assert stored(llm_store, tenant) == 2


def test_more_than_may_be_pending_waits_for_its_turn(llm_store: EmbeddedStore, tenant: str, tmp_path: Path) -> None:
    files = [file(tmp_path, f"{n}.pb", traces(span({"filler": "x" * 1000})).SerializeToString()) for n in range(4)]
    settings = PipelineSettings(flush_seconds=0.02, max_pending_bytes=3000)
    assert run(llm_store, tenant, *files, settings=settings) == Summary(requests=4, stored=4)
    assert stored(llm_store, tenant) == 4
