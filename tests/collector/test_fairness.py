from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from collector.fairness import FairQueue, Share


@dataclass(frozen=True)
class Item:
    tenant: str
    size: int
    number: int = 0


TENANTS = st.sampled_from(["a", "b", "c"])


def queue_of(*items: Item) -> FairQueue[Item]:
    queue: FairQueue[Item] = FairQueue()
    for item in items:
        queue.add(item)
    return queue


def test_a_tenant_alone_gets_four_fifths() -> None:
    share = Share(1000)
    while share.take("a", 1):
        pass
    assert share.held == 800


def test_greedy_tenants_leave_a_fifth_of_what_they_found() -> None:
    share = Share(10_000)
    for tenant, left in (("a", 2000), ("b", 400), ("c", 80)):
        while share.take(tenant, 1):
            pass
        assert share.total - share.held == left
    assert share.take("quiet", 1)


def test_who_holds_more_than_his_share_gets_nothing_until_it_has_shrunk() -> None:
    share = Share(1000)
    while share.take("early", 1):
        pass
    assert share.take("late", 100)
    assert not share.take("early", 1), "the threshold fell when the late one came"
    share.give_back("early", 40)
    assert not share.take("early", 1), "761 are more than four times the 140 that are free"
    share.give_back("early", 100)
    assert share.take("early", 1)


def test_a_tenant_who_holds_nothing_gets_what_fits_at_all() -> None:
    share = Share(1000)
    assert share.take("a", 1000)
    assert not share.take("b", 1)
    share.give_back("a", 1000)
    assert not share.take("b", 1001)
    assert share.take("b", 900)


@given(st.lists(st.tuples(TENANTS, st.integers(0, 400)), max_size=60))
def test_a_share_never_gives_more_than_there_is_and_gets_back_what_it_gave(wishes: list[tuple[str, int]]) -> None:
    share = Share(1000)
    given_out = []
    for tenant, amount in wishes:
        if share.take(tenant, amount):
            given_out.append((tenant, amount))
        assert share.held == sum(amount for _, amount in given_out) <= 1000
    for tenant, amount in given_out:
        share.give_back(tenant, amount)
    assert share.held == 0
    assert share.take("a", 1000), "nobody's past counts"


@given(st.lists(st.tuples(TENANTS, st.integers(0, 200_000)), min_size=1), st.integers(1, 500_000))
def test_every_item_comes_out_once_and_each_tenants_in_order(wishes: list[tuple[str, int]], room: int) -> None:
    items = [Item(tenant, size, number) for number, (tenant, size) in enumerate(wishes)]
    queue = queue_of(*items)
    assert (len(queue), queue.size) == (len(items), sum(item.size for item in items))
    out: list[Item] = []
    while queue:
        taken = queue.take(room)
        assert taken, "at least one"
        assert len(taken) == 1 or sum(item.size for item in taken) <= max(room, taken[0].size)
        out += taken
    assert (len(queue), queue.size, list(queue)) == (0, 0, [])
    for tenant in "abc":
        assert [item for item in out if item.tenant == tenant] == [item for item in items if item.tenant == tenant]
    assert Counter(out) == Counter(items)


def test_who_sends_much_waits_for_himself() -> None:
    noisy = [Item("noisy", 1000, number) for number in range(1000)]
    taken = queue_of(*noisy, Item("quiet", 1000)).take(200_000)
    assert Item("quiet", 1000) in taken
    assert taken.index(Item("quiet", 1000)) < 70, "after one turn of 64 kB"


def test_two_who_send_much_get_the_same() -> None:
    queue = queue_of(*(Item(tenant, size) for tenant, size in (("large", 60_000), ("small", 600)) for _ in range(2000)))
    taken: Counter[str] = Counter()
    for _ in range(10):
        for item in queue.take(300_000):
            taken[item.tenant] += item.size
    assert 0.5 < taken["large"] / taken["small"] < 2


def test_a_request_larger_than_all_room_goes_alone() -> None:
    queue = queue_of(Item("a", 10_000_000), Item("b", 1))
    assert queue.take(1000) == [Item("a", 10_000_000)]
    assert queue.take(1000) == [Item("b", 1)]
    assert queue.take(1000) == []
