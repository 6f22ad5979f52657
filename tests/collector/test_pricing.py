"""Calls of models whose price is not known when they come in: it is found, and filled in everywhere, once."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from collector.metrics import CollectorMetrics
from collector.periodic import Periodic
from collector.pricing import PriceKeeper, Pricing
from collector.sweep import Sweep
from storage import reference
from storage.embedded import EmbeddedStore
from storage.overrides import PriceOverride, PriceSettings
from storage.price_store import PriceError
from tests.collector.crashing import Crash, Crashing
from tests.collector.flaky import FlakyStore
from tests.storage.test_prices import insert, insert_call

JUNE = datetime(2026, 6, 1, tzinfo=UTC)
MAY = datetime(2026, 5, 1, tzinfo=UTC)
STEPS = ("llm_call_pricings", "ALTER TABLE llm_calls", "llm_calls_1m", "llm_pricings")


@pytest.fixture
def pricing(llm_store: EmbeddedStore) -> Iterator[Pricing]:
    """Pricing that has seen what is in the store already."""
    Pricing(llm_store, PriceSettings()).run_once()
    yield Pricing(llm_store, PriceSettings())
    llm_store.execute("TRUNCATE TABLE llm_price_overrides")
    reference.load(llm_store)


def unknown(kind: str = "gpt-4o-mini") -> str:
    """A name that no list spells out and genai-prices matches by its pattern."""
    return f"ft:{kind}-2024-07-18:acme::{uuid.uuid4().hex[:8]}"


def send(store: EmbeddedStore, tenant: str, *models: str, provider: str = "openai", at: datetime = JUNE) -> None:
    insert(store, tenant, [insert_call(model, provider, at, input_tokens=1_000_000) for model in models])


def costs(store: EmbeddedStore, tenant: str) -> list[float | None]:
    rows = store.rows("SELECT cost FROM llm_calls WHERE tenant = {t:String} ORDER BY cost", params={"t": tenant})
    return [row["cost"] for row in rows]


def rolled_up(store: EmbeddedStore, tenant: str) -> tuple[int, int, float]:
    """Calls, unpriced calls and cost of the roll-up."""
    sql = "SELECT sum(calls) AS calls, sum(unpriced_calls) AS unpriced, round(sum(cost), 9) AS cost FROM llm_calls_1m WHERE tenant = {t:String}"
    (row,) = store.rows(sql, params={"t": tenant})
    return row["calls"], row["unpriced"], row["cost"]


def test_a_name_that_only_patterns_match_is_resolved_and_its_calls_are_priced(
    llm_store: EmbeddedStore, pricing: Pricing, tenant: str
) -> None:
    model = unknown()
    send(llm_store, tenant, model, "gpt-4o", model)
    assert (costs(llm_store, tenant), rolled_up(llm_store, tenant)) == ([2.5, None, None], (3, 2, 2.5))
    report = pricing.run_once()
    assert (report.resolved, report.calls) == (1, 2)
    assert (costs(llm_store, tenant), rolled_up(llm_store, tenant)) == ([0.3, 0.3, 2.5], (3, 0, 3.1))
    (row,) = llm_store.rows(f"SELECT DISTINCT price_id, price_version FROM llm_calls WHERE model = '{model}'")
    assert row["price_id"] == "openai/ft:gpt-4o-mini"
    assert row["price_version"].startswith("genai-prices ")


def test_the_next_call_is_priced_when_it_comes_in(llm_store: EmbeddedStore, pricing: Pricing, tenant: str) -> None:
    model = unknown()
    send(llm_store, tenant, model)
    pricing.run_once()
    send(llm_store, f"{tenant}-next", model)
    assert costs(llm_store, f"{tenant}-next") == [0.3]


def test_a_gateways_model_is_priced_as_its_vendors(llm_store: EmbeddedStore, pricing: Pricing, tenant: str) -> None:
    send(llm_store, tenant, f"openai/{unknown()}", provider="house-gateway")
    pricing.run_once()
    assert costs(llm_store, tenant) == [0.3]


def test_what_nobody_knows_stays_without_a_cost_and_is_counted(
    llm_store: EmbeddedStore, pricing: Pricing, tenant: str
) -> None:
    send(llm_store, tenant, f"nonsense-{tenant}", provider="acme")
    assert pricing.run_once().calls == 0
    assert pricing.unresolved >= 1
    assert (costs(llm_store, tenant), rolled_up(llm_store, tenant)) == ([None], (1, 1, 0))


def test_an_override_prices_the_calls_that_waited_for_it_and_no_others(
    llm_store: EmbeddedStore, pricing: Pricing, tenant: str
) -> None:
    send(llm_store, tenant, f"house-{tenant}", provider="acme")
    send(llm_store, f"{tenant}-priced", "gpt-4o")
    pricing.run_once()
    pricing.override(PriceOverride("acme", f"house-{tenant}", input=3.0).document())
    pricing.override(PriceOverride("openai", "gpt-4o", tenant=f"{tenant}-priced", input=0.0).document())
    assert (costs(llm_store, tenant), rolled_up(llm_store, tenant)) == ([3.0], (1, 0, 3.0))
    assert costs(llm_store, f"{tenant}-priced") == [2.5]
    with pytest.raises(PriceError, match="prices list"):
        pricing.override(PriceOverride("openai", "no-such-model", discount=0.1).document())


def test_what_an_operator_has_set_is_on_the_disk_when_the_command_ends(llm_store: EmbeddedStore, tenant: str) -> None:
    store = FlakyStore(llm_store)
    pricing = Pricing(store, PriceSettings())
    override = PriceOverride("openai", "gpt-4o", tenant=tenant, input=1.0)
    pricing.override(override.document())
    assert store.flushes == 1
    pricing.remove_override(override.id)
    assert store.flushes == 2


def test_what_another_process_changed_is_in_force_after_the_next_run(
    llm_store: EmbeddedStore, pricing: Pricing, tenant: str
) -> None:
    Pricing(llm_store, PriceSettings()).override(PriceOverride("openai", "gpt-4o", tenant=tenant, input=1.0).document())
    pricing.run_once()
    send(llm_store, tenant, "gpt-4o")
    assert costs(llm_store, tenant) == [1.0]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_between_any_two_steps_is_made_good_by_the_next_run(
    llm_store: EmbeddedStore, pricing: Pricing, tenant: str, step: str, after: bool
) -> None:
    model = unknown()
    send(llm_store, tenant, model, model)
    send(llm_store, tenant, model, at=MAY)
    with suppress(Crash):
        Pricing(Crashing(llm_store, step, after=after), PriceSettings()).run_once()
        pytest.fail("pricing has no such step")
    send(llm_store, tenant, model)  # which comes between the crash and the next start
    Pricing(llm_store, PriceSettings()).run_once()
    assert (costs(llm_store, tenant), rolled_up(llm_store, tenant)) == ([0.3] * 4, (4, 0, 1.2))


def test_small_batches_come_to_the_same(llm_store: EmbeddedStore, pricing: Pricing, tenant: str) -> None:
    send(llm_store, tenant, *[unknown() for _ in range(7)])
    assert Pricing(llm_store, PriceSettings(), batch_calls=2).run_once().calls == 7
    assert rolled_up(llm_store, tenant) == (7, 0, 2.1)


def test_a_priced_call_that_came_twice_is_taken_out_as_a_whole(
    llm_store: EmbeddedStore, pricing: Pricing, tenant: str
) -> None:
    model = unknown()
    send(llm_store, tenant, model)
    send(llm_store, tenant, model)
    pricing.run_once()
    Sweep(llm_store).run_once()
    assert (costs(llm_store, tenant), rolled_up(llm_store, tenant)) == ([0.3], (1, 0, 0.3))


def test_pricing_waits_for_an_interrupted_sweep(llm_store: EmbeddedStore, pricing: Pricing, tenant: str) -> None:
    Sweep(llm_store).run_once()
    model = unknown()
    send(llm_store, tenant, model)
    send(llm_store, tenant, model)
    with suppress(Crash):
        Sweep(Crashing(llm_store, "DELETE", after=False)).run_once()
    with pytest.raises(PriceError, match="sweep"):
        pricing.run_once()
    Sweep(llm_store).run_once()
    pricing.run_once()
    assert (costs(llm_store, tenant), rolled_up(llm_store, tenant)) == ([0.3], (1, 0, 0.3))


def test_the_keeper_runs_at_its_interval_and_tells_of_failures(
    llm_store: EmbeddedStore, pricing: Pricing, tenant: str
) -> None:
    metrics = CollectorMetrics(CollectorRegistry())
    keeper = PriceKeeper(Pricing(llm_store, PriceSettings(), threading.Lock()), metrics)
    send(llm_store, tenant, unknown())

    async def keep() -> None:
        runs = Periodic("prices", keeper.once, 0.01)
        runs.start()
        async with asyncio.timeout(20):
            while costs(llm_store, tenant) != [0.3]:
                await asyncio.sleep(0.05)
        await runs.stop(10)

    asyncio.run(keep())
    assert metrics.prices_filled_in._value.get() == 1
    assert metrics.prices_runs.labels("finished")._value.get() >= 1
