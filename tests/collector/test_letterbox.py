"""Dead letters whose bytes nobody else has: on the disk before anybody is told, many at a time."""

from __future__ import annotations

import asyncio
import secrets
import time

import pytest

from collector.dead_letters import DeadLetter, DeadLetters
from collector.letterbox import Letterbox
from collector.signals import Signal
from collector.spool import Cipher
from storage.embedded import EmbeddedStore
from storage.store import StoreError
from tests.collector.flaky import FlakyStore
from tests.collector.test_delivery import until
from tests.collector.test_pipeline import count


def letter(tenant: str) -> DeadLetter:
    return DeadLetter(secrets.randbits(62), tenant, Signal.LOGS, time.time_ns(), "no OTLP", 0, b"x")


def letterbox(store: FlakyStore) -> Letterbox:
    return Letterbox(DeadLetters(store, Cipher(bytes(32))))


def test_nobody_is_told_before_the_letter_is_on_the_disk(llm_store: EmbeddedStore, tenant: str) -> None:
    store = FlakyStore(llm_store)
    store.flush_gate.clear()

    async def use() -> None:
        keeping = asyncio.create_task(letterbox(store).keep(letter(tenant)))
        await until(lambda: count(llm_store, "dead_letters", tenant) == 1)
        assert not keeping.done()
        store.flush_gate.set()
        await keeping

    asyncio.run(use())


def test_letters_that_come_while_others_are_kept_share_the_next_insert_and_flush(
    llm_store: EmbeddedStore, tenant: str
) -> None:
    store = FlakyStore(llm_store)

    async def use() -> None:
        box = letterbox(store)
        await asyncio.gather(*(box.keep(letter(tenant)) for _ in range(100)))

    asyncio.run(use())
    assert count(llm_store, "dead_letters", tenant) == 100
    assert store.flushes <= 2


def test_a_letter_is_kept_though_whoever_brought_it_has_gone(llm_store: EmbeddedStore, tenant: str) -> None:
    store = FlakyStore(llm_store)
    store.flush_gate.clear()

    async def use() -> None:
        box = letterbox(store)
        first, second = (asyncio.create_task(box.keep(letter(tenant))) for _ in range(2))
        await until(lambda: count(llm_store, "dead_letters", tenant) == 2)
        first.cancel()
        store.flush_gate.set()
        await second

    asyncio.run(use())


def test_all_who_share_an_insert_that_fails_are_told_and_the_next_one_is_kept(
    llm_store: EmbeddedStore, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FlakyStore(llm_store)
    failures = [StoreError("gone")]
    monkeypatch.setattr(store, "flush", lambda: failures and (_ for _ in ()).throw(failures.pop()))

    async def use() -> None:
        box = letterbox(store)
        outcomes = await asyncio.gather(*(box.keep(letter(tenant)) for _ in range(3)), return_exceptions=True)
        assert [type(each) for each in outcomes] == [StoreError] * 3
        await box.keep(letter(tenant))

    asyncio.run(use())
    assert count(llm_store, "dead_letters", tenant) == 4
