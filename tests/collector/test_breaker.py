from __future__ import annotations

import time

import pytest

from collector.breaker import Breaker
from storage.store import StoreError
from tests.collector.flaky import TOO_MANY_PARTS

BAD_DATA = StoreError.clickhouse(33, "CANNOT_READ_ALL_DATA", "Cannot read all data")
NO_TABLE = StoreError.clickhouse(60, "UNKNOWN_TABLE", "there is none")


class Insert:
    """Fails with `errors` one after the other, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)


@pytest.fixture
def breaker() -> Breaker:
    return Breaker(failures=5, recovery_seconds=0.2)


def opened(breaker: Breaker) -> Breaker:
    for _ in range(5):
        with pytest.raises(StoreError):
            breaker.call(Insert(NO_TABLE))
    return breaker


def test_what_may_pass_is_tried_again_at_once(breaker: Breaker) -> None:
    insert = Insert(TOO_MANY_PARTS, StoreError("connection refused"))
    breaker.call(insert)
    assert (insert.calls, breaker.state) == (3, "closed")


@pytest.mark.parametrize("error", [BAD_DATA, NO_TABLE, OSError("x")], ids=str)
def test_what_will_not_pass_is_raised_at_once(breaker: Breaker, error: Exception) -> None:
    insert = Insert(error)
    with pytest.raises(type(error)):
        breaker.call(insert)
    assert insert.calls == 1


def test_it_gives_up_after_three_attempts(breaker: Breaker) -> None:
    insert = Insert(*[TOO_MANY_PARTS] * 9)
    with pytest.raises(StoreError, match="Too many parts"):
        breaker.call(insert)
    assert insert.calls == 3


def test_bad_data_is_no_failure_of_the_store(breaker: Breaker) -> None:
    for _ in range(20):
        with pytest.raises(StoreError):
            breaker.call(Insert(BAD_DATA))
    assert (breaker.state, breaker.last_error) == ("closed", "")


def test_failures_in_a_row_open_it_and_say_why(breaker: Breaker) -> None:
    opened(breaker)
    assert breaker.is_open
    assert "there is none" in breaker.last_error


def test_a_success_between_failures_keeps_it_closed(breaker: Breaker) -> None:
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(StoreError):
                breaker.call(Insert(NO_TABLE))
        breaker.call(Insert())
    assert breaker.is_closed


def test_after_a_while_one_insert_decides(breaker: Breaker) -> None:
    opened(breaker)
    time.sleep(0.25)
    assert breaker.state == "half_open"
    failing = Insert(*[TOO_MANY_PARTS] * 9)
    with pytest.raises(StoreError):
        breaker.call(failing)
    assert (failing.calls, breaker.is_open) == (1, True)
    time.sleep(0.25)
    breaker.call(Insert())
    assert (breaker.is_closed, breaker.last_error) == (True, "")
