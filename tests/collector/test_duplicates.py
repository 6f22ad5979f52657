from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from collector.duplicates import RecentRequests, digest_of
from collector.errors import Overloaded
from collector.signals import Signal
from collector.writer import Acknowledgement, Outcome

STORED = Acknowledgement()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recent(clock: Clock) -> RecentRequests:
    return RecentRequests(600, 1000, clock)


@pytest.fixture
def future() -> Iterator[asyncio.Future[Outcome]]:
    loop = asyncio.new_event_loop()
    yield loop.create_future()
    loop.close()


def digest(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_a_new_request_is_new(recent: RecentRequests) -> None:
    assert recent.find(digest(1)) is None


def test_one_under_way_is_waited_for(recent: RecentRequests, future: asyncio.Future[Outcome]) -> None:
    recent.begin(digest(1), future)
    assert recent.find(digest(1)) is future


def test_what_was_acknowledged_is_answered_the_same_again(recent: RecentRequests) -> None:
    recent.end(digest(1), STORED)
    recent.end(digest(2), Acknowledgement(3, "no trace id"))
    assert recent.find(digest(1)) == STORED
    assert recent.find(digest(2)) == Acknowledgement(3, "no trace id")


def test_what_was_refused_is_new(recent: RecentRequests, future: asyncio.Future[Outcome]) -> None:
    recent.begin(digest(1), future)
    recent.end(digest(1), Overloaded("later", 1.0))
    assert recent.find(digest(1)) is None


def test_a_request_is_known_for_the_whole_window_and_not_for_ever(recent: RecentRequests, clock: Clock) -> None:
    recent.end(digest(0), STORED)
    for second in range(1, 1200):
        clock.now += 1
        recent.end(digest(1_000_000 + second % 7), STORED)  # the traffic that turns the window
        if second <= 600:
            assert recent.find(digest(0)) == STORED, f"after {second} s"
    assert recent.find(digest(0)) is None
    assert 600 <= recent.window_seconds <= 900


def test_memory_is_bounded_by_forgetting_the_oldest(recent: RecentRequests) -> None:
    for number in range(5000):
        recent.end(digest(number), STORED)
    known = [number for number in range(5000) if recent.find(digest(number)) is not None]
    assert 500 <= len(known) <= 1000
    assert known == list(range(5000 - len(known), 5000))


def test_what_an_earlier_process_stored_is_known(recent: RecentRequests) -> None:
    recent.remember([digest(1), digest(2)])
    assert recent.find(digest(1)) == recent.find(digest(2)) == STORED


def test_of_more_than_fits_the_latest_are_known_and_new_requests_drive_them_out_little_by_little(
    recent: RecentRequests,
) -> None:
    recent.remember(digest(number) for number in range(3000))
    for number in range(3000, 3100):
        recent.end(digest(number), STORED)
    known = [number for number in range(3100) if recent.find(digest(number)) is not None]
    assert 600 <= len(known) <= 1000
    assert known == list(range(3100 - len(known), 3100))


def test_the_digest_tells_signal_tenant_and_body_apart() -> None:
    digests = {
        digest_of(signal, tenant, body)
        for signal in Signal
        for tenant, body in (("a", b"bc"), ("ab", b"c"), ("a", b"b c"), ("a b", b"c"), ("", b"abc"))
    }
    assert len(digests) == 3 * 5
    assert all(len(each) == 16 for each in digests)
    assert digest_of(Signal.LOGS, "a", b"x") == digest_of(Signal.LOGS, "a", b"x")
