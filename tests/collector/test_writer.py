"""A batch that the store keeps refusing is taken apart, and never so that something is stored twice."""

from __future__ import annotations

import time
import uuid

from prometheus_client import CollectorRegistry

from collector.breaker import Breaker
from collector.dead_letters import DeadLetters
from collector.envelope import Envelope, wrap
from collector.metrics import CollectorMetrics
from collector.signals import Signal
from collector.spool import Cipher
from collector.writer import Acknowledgement, Writer
from storage.embedded import EmbeddedStore
from storage.store import StoreError
from tests.collector.flaky import TOO_MANY_PARTS, FlakyStore
from tests.collector.requests import span, traces
from tests.collector.test_delivery import stored
from tests.collector.test_pipeline import count


def writer(store: FlakyStore, recovery_seconds: float = 0.01) -> Writer:
    breaker = Breaker(recovery_seconds=recovery_seconds)
    return Writer(store, breaker, DeadLetters(store, Cipher(bytes(32))), CollectorMetrics(CollectorRegistry()))


def batch(tenant: str, *names: str) -> list[Envelope]:
    first = uuid.uuid4().int >> 80
    return [
        wrap(Signal.TRACES, tenant, traces(span(name=name)).SerializeToString(), request_id=first + n, received_ns=time.time_ns())
        for n, name in enumerate(names)
    ]  # fmt: skip


def test_a_batch_that_is_refused_after_its_commit_has_begun_is_not_taken_apart(
    llm_store: EmbeddedStore, tenant: str
) -> None:
    """Its parts would have other deduplication tokens."""
    lying = FlakyStore(llm_store, TOO_MANY_PARTS, late=True)
    whole = batch(tenant, "a", "b", "c", "d")
    for _ in range(2):
        written = writer(lying).isolate(whole)
        assert written.outcomes == {}
        assert written.error is not None
    lying.error = None
    assert set(writer(lying).write(whole).outcomes.values()) == {Acknowledgement()}
    assert stored(llm_store, tenant) == ["a", "b", "c", "d"]


def test_a_batch_that_is_at_fault_for_certain_is_taken_apart_at_any_price(
    llm_store: EmbeddedStore, tenant: str
) -> None:
    """A store that never has enough memory for it, say: it must not stay in the spool for ever."""
    small = FlakyStore(llm_store, TOO_MANY_PARTS, late=True)
    whole = batch(tenant, "a", "b", "c", "d")
    small.matches = lambda data: all(each.body in data for each in whole)
    written = writer(small).isolate(whole, at_any_price=True)
    assert written.outcomes == {each.request_id: Acknowledgement() for each in whole}
    assert set(stored(llm_store, tenant)) == {"a", "b", "c", "d"}


def test_a_batch_that_waits_for_an_operator_is_not_taken_apart_at_any_price(
    llm_store: EmbeddedStore, tenant: str
) -> None:
    broken = FlakyStore(llm_store, StoreError.clickhouse(60, "UNKNOWN_TABLE", "one behind a view is missing"))
    whole = batch(tenant, "a", "b")
    written = writer(broken).isolate(whole, at_any_price=True)
    assert (written.outcomes, written.left) == ({}, [whole])


def test_that_other_requests_with_ids_between_those_of_a_batch_are_stored_does_not_keep_it_whole(
    llm_store: EmbeddedStore, tenant: str
) -> None:
    """Requests of another signal may have come between them."""
    first, between, last = batch(tenant, "a", "b", "c")
    small = FlakyStore(llm_store, TOO_MANY_PARTS)
    assert writer(small).isolate([first, last]).left == [[first], [last]]
    small.error = None
    writer(small).write([between])
    small.error = TOO_MANY_PARTS
    assert writer(small).isolate([first, last]).left == [[first], [last]]


def test_a_store_that_goes_away_while_a_batch_is_taken_apart_does_not_get_all_of_it_one_by_one(
    llm_store: EmbeddedStore, tenant: str
) -> None:
    away = FlakyStore(llm_store, TOO_MANY_PARTS)
    whole = batch(tenant, *"abcdefgh")
    written = writer(away, recovery_seconds=60.0).isolate(whole)
    assert [len(piece) for piece in written.left] == [1, 1, 2, 4]
    assert [each for piece in written.left for each in piece] == whole


def test_of_all_tables_that_an_insert_reaches_the_requests_are_committed_first(
    llm_store: EmbeddedStore, tenant: str
) -> None:
    """Where they are not, nothing is, and a batch may be taken apart."""
    llm_store.execute("ALTER TABLE otel_traces ADD CONSTRAINT refuses CHECK SpanName != 'bad'")
    try:
        assert writer(FlakyStore(llm_store)).write(batch(tenant, "bad")).error is not None
    finally:
        llm_store.execute("ALTER TABLE otel_traces DROP CONSTRAINT refuses")
    assert count(llm_store, "ingest_requests", tenant) == 1
    assert stored(llm_store, tenant) == []
