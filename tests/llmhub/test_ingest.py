"""Files into a store, in this process."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from google.protobuf.message import Message
from prometheus_client import CollectorRegistry

from collector.assembly import Collector
from collector.errors import InvalidRequest, Overloaded, Unavailable
from collector.pipeline import Acknowledgement, Signal
from collector.settings import PipelineSettings
from collector.spool import SpoolSettings
from llmhub.config import Config, ReceiversConfig
from llmhub.ingest import Summary, ingest
from llmhub.running_hub import RunningHub, reachable
from llmhub.spools import leftover_spools
from receivers.otlp_http import OtlpHttpReceiver, OtlpHttpSettings
from storage.embedded import EmbeddedStore
from storage.store import StoreError
from tests.collector.flaky import FlakyStore
from tests.collector.requests import call, gauge, logs, span, traces
from tests.receivers.recorder import Loop, Recorder, serving

FAST = PipelineSettings(flush_seconds=0.02)


@pytest.fixture
def tenant() -> str:
    return f"tenant-{uuid.uuid4().hex[:8]}"


def run(store: EmbeddedStore, tenant: str, *paths: Path, settings: PipelineSettings = FAST) -> Summary:
    read: list[int] = []
    settings = replace(settings, spool=SpoolSettings(path=str(paths[0].parent / "spool")))
    config = Config(collector=settings, receivers=ReceiversConfig(tenant=tenant))
    summary = asyncio.run(ingest(store, config, paths, "", read.append))
    assert sum(read) == sum(path.stat().st_size for path in paths if path.suffix != ".txt" and path.exists())
    return summary


def stored(store: EmbeddedStore, tenant: str) -> int:
    sql = "SELECT count() AS n FROM otel_traces WHERE Tenant = {t:String}"
    return int(store.rows(sql, params={"t": tenant})[0]["n"])


def file(directory: Path, name: str, body: bytes) -> Path:
    path = directory / name
    path.write_bytes(body)
    return path


def test_every_request_of_every_file_is_stored(llm_store: EmbeddedStore, tenant: str, tmp_path: Path) -> None:
    one, two = (traces(call(), span()).SerializeToString() for _ in range(2))
    files = [file(tmp_path, "a.pb", one), file(tmp_path, "b.pb.gz", gzip.compress(two)), file(tmp_path, "c.pb", b"")]
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


def test_what_the_store_does_not_take_is_told_and_stored_by_the_next_hub(
    llm_store: EmbeddedStore, tenant: str, tmp_path: Path
) -> None:
    away = FlakyStore(llm_store, StoreError("gone"))
    summary = run(away, tenant, file(tmp_path, "a.pb", traces(span()).SerializeToString()))  # type: ignore[arg-type]
    assert (summary.requests, summary.stored) == (1, 1)
    (problem,) = summary.problems
    assert problem.startswith(f"1 batches are safe in {tmp_path}/spool/ingest, and the store does not take them now: ")

    config = replace(Config(), collector=replace(FAST, spool=SpoolSettings(path=str(tmp_path / "spool"))))

    async def take_up() -> None:
        hub = Collector(llm_store, config.collector, CollectorRegistry(), tmp_path, leftovers=leftover_spools(config))
        await hub.start()
        assert leftover_spools(config) == [], "it is in use"
        await hub.pipeline.submit(Signal.TRACES, tenant, traces(span()).SerializeToString())
        while hub.leftovers.size_bytes:
            await asyncio.sleep(0.05)
        await hub.close()

    asyncio.run(take_up())
    assert stored(llm_store, tenant) == 2


def test_more_than_may_be_pending_waits_for_its_turn(llm_store: EmbeddedStore, tenant: str, tmp_path: Path) -> None:
    files = [file(tmp_path, f"{n}.pb", traces(span({"filler": "x" * 1000})).SerializeToString()) for n in range(4)]
    settings = PipelineSettings(flush_seconds=0.02, max_pending_bytes=3000)
    assert run(llm_store, tenant, *files, settings=settings) == Summary(requests=4, stored=4)
    assert stored(llm_store, tenant) == 4


def test_events_in_lines_are_stored_and_the_bad_ones_told_by_their_line(
    llm_store: EmbeddedStore, tenant: str, tmp_path: Path
) -> None:
    lines = [json.dumps({"timestamp": time.time() - 60, "model": "gpt-4o", "input_tokens": n}) for n in range(1200)]
    lines[700:700] = ["", "{", json.dumps({"model": 3})]
    summary = run(llm_store, tenant, file(tmp_path, "a.events.jsonl", "\n".join(lines).encode()))
    assert (summary.requests, summary.stored) == (3, 3)
    assert stored(llm_store, tenant) == 1200
    (problem,) = summary.problems
    first, second = problem.splitlines()
    assert f"{tmp_path / 'a.events.jsonl'}, line 702: $: This is not JSON" in first
    assert "line 703: $: " in second


def test_the_good_part_of_a_file_that_is_cut_off_is_stored(
    llm_store: EmbeddedStore, tenant: str, tmp_path: Path
) -> None:
    lines = [json.dumps({"timestamp": time.time(), "model": "m", "user": uuid.uuid4().hex}) for _ in range(5000)]
    cut = gzip.compress("\n".join(lines).encode())[:-2000]
    summary = run(llm_store, tenant, file(tmp_path, "a.events.jsonl.gz", cut))
    assert "not a complete .gz file" in summary.problems[0]
    assert 4000 < stored(llm_store, tenant) < 5000


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.mark.parametrize(
    ("signal", "body"),
    [(Signal.TRACES, traces(span())), (Signal.LOGS, logs("x")), (Signal.METRICS, gauge("m", 1.0))],
)
def test_a_running_hub_takes_exports_as_a_pipeline_does(loop: Loop, signal: Signal, body: Message) -> None:
    recorder = Recorder()
    receiver = OtlpHttpReceiver(recorder, OtlpHttpSettings("127.0.0.1:0"))
    data = body.SerializeToString()
    with serving(receiver, loop) as address, RunningHub(OtlpHttpSettings(address), 2) as hub:
        assert asyncio.run(hub.submit(signal, "ignored", data)) == Acknowledgement()
        assert recorder.submitted == [(signal, "default", data)]
        recorder.answer = Acknowledgement(2, "too old")
        assert asyncio.run(hub.submit(signal, "ignored", data)) == Acknowledgement(2, "too old")
        recorder.answer = Overloaded("full", 3.0)
        with pytest.raises(Overloaded, match="full") as overloaded:
            asyncio.run(hub.submit(signal, "ignored", data))
        assert overloaded.value.retry_after == 3.0
        recorder.answer = Unavailable("away", 2.0)
        with pytest.raises(Unavailable, match="away"):
            asyncio.run(hub.submit(signal, "ignored", data))
        recorder.answer = InvalidRequest("broken")
        with pytest.raises(InvalidRequest, match="broken"):
            asyncio.run(hub.submit(signal, "ignored", data))


def test_a_running_hub_is_known_by_its_own_certificate_whatever_its_name(loop: Loop, tmp_path: Path) -> None:
    certificate = trustme.CA().issue_cert("hub.example")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(str(key))
    secure = OtlpHttpSettings("127.0.0.1:0", tls_cert_file=str(chain), tls_key_file=str(key))
    recorder = Recorder()
    body = traces(span()).SerializeToString()
    with serving(OtlpHttpReceiver(recorder, secure), loop) as address:
        with RunningHub(replace(secure, listen=address), 1) as hub:
            asyncio.run(hub.submit(Signal.TRACES, "", body))
        assert len(recorder.submitted) == 1
        stranger = tmp_path / "stranger.pem"
        stranger.write_bytes(trustme.CA().issue_cert("hub.example").cert_chain_pems[0].bytes())
        other = replace(secure, listen=address, tls_cert_file=str(stranger))
        with RunningHub(other, 1) as hub, pytest.raises(Unavailable, match="certificate"):
            asyncio.run(hub.submit(Signal.TRACES, "", body))
        assert len(recorder.submitted) == 1


def test_a_hub_that_is_elsewhere_is_told_with_the_setting() -> None:
    with RunningHub(OtlpHttpSettings("127.0.0.1:9"), 1) as hub, pytest.raises(Unavailable) as caught:
        asyncio.run(hub.submit(Signal.TRACES, "", b"x"))
    assert "receivers.otlp_http.listen" in str(caught.value)


@pytest.mark.parametrize(
    ("listen", "address"),
    [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.1.2.3:1", "10.1.2.3:1"), ("hub:1", "hub:1")],
)
def test_a_hub_that_listens_everywhere_is_reached_on_loopback(listen: str, address: str) -> None:
    assert reachable(listen, "api.listen") == address
