"""What a process left in a spool that no process has any more."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from collector.assembly import Collector
from collector.breaker import Breaker
from collector.signals import Signal
from collector.spool import SpoolError
from collector.spool.spool import Accepted, Batch, Spool
from storage.embedded import EmbeddedStore
from storage.store import StoreError
from tests.collector.conftest import FAST
from tests.collector.flaky import FlakyStore
from tests.collector.requests import span, traces
from tests.collector.test_delivery import stored, until


def collector(store: object, directory: Path, *leftovers: Path) -> Collector:
    return Collector(store, FAST, CollectorRegistry(), directory, Breaker(recovery_seconds=0.2), leftovers)  # type: ignore[arg-type]


@asynccontextmanager
async def running(store: object, directory: Path, *leftovers: Path) -> AsyncIterator[Collector]:
    hub = collector(store, directory, *leftovers)
    await hub.start()
    try:
        yield hub
    finally:
        await hub.close()


async def leave(store: EmbeddedStore, directory: Path, tenant: str, body: bytes, *, late: bool = False) -> None:
    """Acknowledge a request that stays in the spool; with `late` it is in the store, too."""
    hub = collector(FlakyStore(store, StoreError("gone"), late=late), directory)
    await hub.start()
    await hub.pipeline.submit(Signal.TRACES, tenant, body)
    await hub.close(patience=0.0)


async def take_up(store: EmbeddedStore, directory: Path, *leftovers: Path, tenant: str, repeated: bytes) -> None:
    async with running(store, directory, *leftovers) as hub:
        await until(lambda: hub.leftovers.batches == 0 and hub.leftovers.size_bytes == 0)
        await hub.pipeline.submit(Signal.TRACES, tenant, repeated)
        assert hub.ledger.imbalance() == 0


@pytest.mark.parametrize("late", [False, True], ids=["not stored", "stored but not settled"])
def test_it_is_stored_once_by_the_process_that_takes_it_up(
    llm_store: EmbeddedStore, tmp_path: Path, tenant: str, late: bool
) -> None:
    others = [tmp_path / "spool" / "worker-1", tmp_path / "spool" / "worker-2"]

    async def main() -> None:
        bodies = [traces(span(name=f"span-{number}")).SerializeToString() for number in range(2)]
        for directory, body in zip(others, bodies, strict=True):
            await leave(llm_store, directory, tenant, body, late=late)
        for _ in range(2):  # the second time, there is nothing left
            await take_up(llm_store, tmp_path / "spool" / "worker-0", *others, tenant=tenant, repeated=bodies[0])

    asyncio.run(main())
    assert stored(llm_store, tenant) == ["span-0", "span-1"]


def test_one_that_is_let_go_while_others_are_taken_up_does_not_hide_any(
    llm_store: EmbeddedStore, tmp_path: Path, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Spool.read

    def slowly(spool: Spool, sequence: int) -> Batch:
        time.sleep(1.0)
        return read(spool, sequence)

    others = [tmp_path / f"worker-{number}" for number in range(1, 4)]

    async def main() -> None:
        await collector(llm_store, others[0]).close()
        for directory in others[1:]:
            await leave(llm_store, directory, tenant, traces(span(name=directory.name)).SerializeToString())
        monkeypatch.setattr(Spool, "read", slowly)
        async with running(llm_store, tmp_path / "worker-0", *others) as hub:
            await until(lambda: hub.leftovers.batches == 0 and hub.leftovers.size_bytes == 0)

    asyncio.run(main())
    assert stored(llm_store, tenant) == ["worker-2", "worker-3"]


def test_what_cannot_be_stored_yet_stays_where_it_is(llm_store: EmbeddedStore, tmp_path: Path, tenant: str) -> None:
    async def main() -> None:
        await leave(llm_store, tmp_path / "worker-1", tenant, traces(span(name="kept")).SerializeToString())
        hub = collector(FlakyStore(llm_store, StoreError("gone")), tmp_path / "worker-0", tmp_path / "worker-1")
        await hub.start()
        assert hub.leftovers.batches == 1
        await hub.close(patience=0.0)
        async with running(llm_store, tmp_path / "worker-1") as hub:
            await until(lambda: not hub.spool.waiting())

    asyncio.run(main())
    assert stored(llm_store, tenant) == ["kept"]


def test_a_request_that_is_known_from_there_counts_as_stored_when_it_is(
    llm_store: EmbeddedStore, tmp_path: Path, tenant: str
) -> None:
    """Kafka's offsets move then, and not before."""

    async def main() -> None:
        body = traces(span(name="kept")).SerializeToString()
        await leave(llm_store, tmp_path / "worker-1", tenant, body)
        flaky = FlakyStore(llm_store, StoreError("gone"))
        async with running(flaky, tmp_path / "worker-0", tmp_path / "worker-1") as hub:
            sent = asyncio.create_task(hub.pipeline.submit(Signal.TRACES, tenant, body, until_stored=True))
            await asyncio.sleep(0.2)
            assert not sent.done()
            flaky.error = None
            await sent
            assert stored(llm_store, tenant) == ["kept"]

    asyncio.run(main())


def test_the_files_go_when_the_store_is_on_its_disk_and_nobody_waits_for_that(
    llm_store: EmbeddedStore, tmp_path: Path, tenant: str
) -> None:
    async def main() -> None:
        await leave(llm_store, tmp_path / "worker-1", tenant, traces(span(name="kept")).SerializeToString())
        slow = FlakyStore(llm_store)
        slow.flush_gate.clear()
        async with running(slow, tmp_path / "worker-0", tmp_path / "worker-1") as hub:
            await until(lambda: hub.leftovers.batches == 0)
            await hub.pipeline.submit(Signal.TRACES, tenant, traces(span(name="meanwhile")).SerializeToString())
            assert hub.leftovers.size_bytes > 0
            slow.flush_gate.set()
            await until(lambda: hub.leftovers.size_bytes == 0)

    asyncio.run(main())


def test_a_batch_of_which_the_disk_has_lost_all_that_was_left_is_done(
    llm_store: EmbeddedStore, tmp_path: Path, tenant: str
) -> None:
    async def main() -> None:
        hub = collector(llm_store, tmp_path / "spool")
        first = hub.spool.append(Signal.TRACES, [accepted(tenant, "stored")])
        hub.spool.append(Signal.TRACES, [accepted(tenant, "lost")], to=first.sequence)
        hub.spool.settle(first, [first.envelopes[0].request_id])
        hub.spool.close()
        (path,) = (tmp_path / "spool").glob("*.spool")
        os.truncate(path, path.stat().st_size - 1)
        async with running(llm_store, tmp_path / "spool") as hub:
            await until(lambda: not hub.spool.waiting())

    asyncio.run(main())


def accepted(tenant: str, name: str) -> Accepted:
    body = traces(span(name=name)).SerializeToString()
    return Accepted(Signal.TRACES, tenant, body, time.time_ns(), bytes(16))


def test_a_spool_belongs_to_one_process_until_that_lets_go(llm_store: EmbeddedStore, tmp_path: Path) -> None:
    async def main() -> None:
        first = collector(llm_store, tmp_path)
        with pytest.raises(SpoolError, match=r"collector\.spool\.path: .* is in use by another process of a hub"):
            collector(llm_store, tmp_path)
        await first.start()
        await first.close()
        await collector(llm_store, tmp_path).close()

    asyncio.run(main())
