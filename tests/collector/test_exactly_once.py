"""Whatever the store answers, and whatever it has done by then, each request ends up stored once or a dead letter.

A model of the store stands in for it, so that thousands of histories can be tried: an insert reaches two tables, one
after the other, and each of them knows the deduplication tokens that it has seen. That ClickHouse does is tested with
ClickHouse, in test_delivery.py and the fault tests."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import product
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from collector.breaker import Breaker
from collector.dead_letters import DeadLetters
from collector.envelope import Envelope, unwrap, wrap
from collector.errors import DeadLettered
from collector.metrics import CollectorMetrics
from collector.signals import Signal
from collector.spool import Cipher
from collector.writer import Outcome, Writer
from storage.store import Store, StoreError
from tests.collector.flaky import SHORT_OF_MEMORY, TOO_MANY_PARTS
from tests.collector.requests import span, traces

REFUSED = StoreError.clickhouse(117, "INCORRECT_DATA", "bad data")
CHOKED = StoreError.clickhouse(6, "CANNOT_PARSE_TEXT", "a view chokes")
NO_ANSWER = StoreError("504 Gateway Timeout")
NO_TABLE = StoreError.clickhouse(60, "UNKNOWN_TABLE", "one behind a view is missing")
# Those between them are of another signal, and stored.
IDS, OTHERS = range(1, 16, 2), range(2, 16, 2)
BODY = traces(span()).SerializeToString()


class Stage(Enum):
    """How much of an insert is committed when it fails."""

    NOTHING = 0
    THE_FIRST_TABLE = 1
    ALL = 2


class Fault(Enum):
    """What is wrong with a request for good."""

    CANNOT_BE_PARSED = "it"
    A_VIEW_REFUSES_IT = "is"
    A_VIEW_CHOKES_ON_IT = "at fault"


@dataclass
class ModelStore:
    faults: Mapping[int, Fault]
    failures: Iterator[tuple[Stage, StoreError] | None]
    absences: Iterator[bool]
    """Whether it is away when it is asked something, or given a dead letter."""
    tables: tuple[Counter[int], Counter[int]] = field(default_factory=lambda: (Counter(), Counter()))
    _tokens: set[tuple[int, str]] = field(default_factory=set)

    def insert(self, table: str, *data: bytes, fmt: str, settings: Mapping[str, Any]) -> None:
        if not table.startswith("otlp_"):
            return self._answer()
        ids = [envelope.request_id for envelope in unwrap(Signal.TRACES, b"".join(data))]
        stage, error = next(self.failures, None) or (Stage.ALL, None)
        if error is not None and stage is Stage.NOTHING:
            raise error
        faults = {self.faults[each] for each in ids if each in self.faults}
        if Fault.CANNOT_BE_PARSED in faults:
            raise REFUSED
        if table.endswith("_check"):
            return
        if faults:
            raise REFUSED if Fault.A_VIEW_REFUSES_IT in faults else CHOKED
        for number in range(stage.value):
            self._commit(number, ids, settings["insert_deduplication_token"])
        if error is not None:
            raise error

    def _commit(self, number: int, ids: list[int], token: str) -> None:
        if (number, token) not in self._tokens:
            self._tokens.add((number, token))
            self.tables[number].update(ids)

    def _answer(self) -> None:
        if next(self.absences, False):
            raise NO_ANSWER

    def rows(self, sql: str, *, params: Mapping[str, str]) -> list[dict[str, Any]]:
        self._answer()
        if "ingest_requests" not in sql:
            return []
        asked = range(int(params["first"]), int(params["last"]) + 1)
        return [{"request_id": each} for each in self.tables[0] if each in asked]


class NoBreaker:
    is_closed = True

    def call(self, insert: Callable[[], None]) -> None:
        insert()


def written_until_the_store_behaves(
    store: ModelStore, batch: list[Envelope], suspicions: list[bool]
) -> dict[int, Outcome]:
    """As the backlog does it: again and again, and at some time with suspicion."""
    letters = DeadLetters(cast(Store, store), Cipher(bytes(32)))
    writer = Writer(cast(Store, store), cast(Breaker, NoBreaker()), letters, CollectorMetrics(CollectorRegistry()))
    written = writer.write(batch)
    outcomes = dict(written.outcomes)
    rounds = iter(suspicions)
    while written.left:
        written = (writer.isolate if next(rounds, True) else writer.write)(*written.left)
        assert not outcomes.keys() & written.outcomes.keys()
        outcomes.update(written.outcomes)
    assert written.error is None
    return outcomes


failures = st.sampled_from(
    [None, (Stage.NOTHING, SHORT_OF_MEMORY), *product(Stage, [TOO_MANY_PARTS, NO_ANSWER, NO_TABLE])]
)


@settings(max_examples=1000, deadline=None)
@given(
    faults=st.dictionaries(st.sampled_from(IDS), st.sampled_from(Fault), max_size=3),
    failures=st.lists(failures, max_size=40),
    absences=st.lists(st.booleans(), max_size=20),
    suspicions=st.lists(st.booleans(), max_size=20),
)
def test_each_request_is_in_every_table_once_or_a_dead_letter(
    faults: dict[int, Fault],
    failures: list[tuple[Stage, StoreError] | None],
    absences: list[bool],
    suspicions: list[bool],
) -> None:
    store = ModelStore(faults, iter(failures), iter(absences))
    store.tables[0].update(OTHERS)
    batch = [wrap(Signal.TRACES, "t", BODY, request_id=n, received_ns=time.time_ns()) for n in IDS]
    outcomes = written_until_the_store_behaves(store, batch, suspicions)
    good = {each.request_id for each in batch} - faults.keys()
    assert {each for each, outcome in outcomes.items() if isinstance(outcome, DeadLettered)} == faults.keys()
    store.tables[0].subtract(OTHERS)
    assert [+table for table in store.tables] == [Counter(good)] * 2
