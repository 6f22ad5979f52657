"""What is negotiated is charged: for whom, since when, in which currency, and on top of which list price."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

import pytest

from storage import price_store, prices, reference
from storage.embedded import EmbeddedStore
from storage.overrides import ExchangeRate, ModelAlias, PriceOverride, PriceSettings
from storage.price_store import PriceError
from tests.storage.test_prices import JUNE, NOVEMBER, costs, insert_call

Settle = Callable[[PriceSettings], None]
MILLION = {"input_tokens": 1_000_000, "output_tokens": 1_000_000}


@pytest.fixture
def settle(llm_store: EmbeddedStore) -> Iterator[Settle]:
    """Puts settings into force, for the test alone."""

    def load(settings: PriceSettings) -> None:
        reference.load_prices(llm_store, settings)

    yield load
    llm_store.execute("TRUNCATE TABLE llm_price_lists")
    llm_store.execute("TRUNCATE TABLE llm_price_overrides")
    reference.load(llm_store)


def overrides(*given: PriceOverride, rates: tuple[ExchangeRate, ...] = ()) -> PriceSettings:
    return PriceSettings(overrides=given, exchange_rates=rates)


def cost(
    store: EmbeddedStore,
    tenant: str,
    model: str = "gpt-4o",
    at: datetime = JUNE,
    tier: str = "",
    provider: str = "openai",
) -> float | None:
    store.execute("TRUNCATE TABLE llm_calls")
    (found,) = costs(store, tenant, [insert_call(model, provider, at, tier, **MILLION)])
    return found


def test_a_tenants_own_price_is_that_tenants_alone(llm_store: EmbeddedStore, settle: Settle) -> None:
    settle(overrides(PriceOverride("openai", "gpt-4o", tenant="own", input=1.0)))
    assert cost(llm_store, "own") == 1.0 + 10.0  # what is not named keeps its price
    assert cost(llm_store, "other") == 12.5


def test_an_override_without_a_tenant_is_for_all_but_those_with_their_own(
    llm_store: EmbeddedStore, settle: Settle
) -> None:
    everyone = PriceOverride("openai", "gpt-4o", input=2.0, output=4.0)
    settle(overrides(PriceOverride("openai", "gpt-4o", tenant="special", output=1.0), everyone))
    assert cost(llm_store, "anyone") == 6.0
    assert cost(llm_store, "special") == 2.5 + 1.0


def test_the_more_special_of_two_overrides_applies_and_of_equals_the_later(
    llm_store: EmbeddedStore, settle: Settle
) -> None:
    model = PriceOverride("openai", "gpt-4o", tenant="both", input=1.0, output=1.0)
    provider = PriceOverride("openai", tenant="both", discount=0.5)
    settle(overrides(PriceOverride("openai", "gpt-4o", tenant="both", input=9.0), model, provider))
    assert cost(llm_store, "both") == 2.0
    assert cost(llm_store, "both", "gpt-4o-mini") == pytest.approx((0.15 + 0.6) / 2)


def test_the_day_of_the_call_decides(llm_store: EmbeddedStore, settle: Settle) -> None:
    only_june = PriceOverride(
        "openai", "gpt-4o", "dated", "", date(2026, 6, 1), date(2026, 6, 30), input=0.0, output=0.0
    )
    settle(overrides(only_june))
    times = [
        datetime(2026, 5, 31, 23, 59, 59),
        datetime(2026, 6, 1),
        datetime(2026, 6, 30, 23, 59, 59),
        datetime(2026, 7, 1),
    ]
    assert [cost(llm_store, "dated", at=time.replace(tzinfo=UTC)) for time in times] == [12.5, 0.0, 0.0, 12.5]


def test_a_discount_holds_for_all_tiers_and_a_price_for_the_standard_one(
    llm_store: EmbeddedStore, settle: Settle
) -> None:
    settle(
        overrides(
            PriceOverride("openai", tenant="less", discount=0.2),
            PriceOverride("openai", "gpt-4o", tenant="set", input=1.0),
        )
    )
    assert cost(llm_store, "less", at=NOVEMBER, tier="batch") == pytest.approx(0.8 * 6.25)
    assert cost(llm_store, "set", at=NOVEMBER, tier="batch") == 6.25
    assert cost(llm_store, "set", at=NOVEMBER) == 11.0


def test_a_price_may_be_that_of_a_tier_the_list_does_not_have(llm_store: EmbeddedStore, settle: Settle) -> None:
    settle(overrides(PriceOverride("openai", "gpt-4o", tenant="tier", tier="scale", input=1.0, output=1.0)))
    assert cost(llm_store, "tier", tier="scale") == 2.0
    assert cost(llm_store, "tier") == 12.5


def test_a_discount_keeps_the_steps_of_the_list(llm_store: EmbeddedStore, settle: Settle) -> None:
    settle(overrides(PriceOverride("anthropic", tenant="steps", discount=0.1)))
    assert cost(llm_store, "steps", "claude-sonnet-4-5", provider="anthropic") == pytest.approx(0.9 * (6 + 22.5))


def test_a_currency_is_exchanged_at_the_rate_of_the_day(llm_store: EmbeddedStore, settle: Settle) -> None:
    euros = (ExchangeRate("EUR", 1.1, date(2025, 1, 1)), ExchangeRate("EUR", 1.2, date(2026, 6, 1)))
    settle(overrides(PriceOverride("openai", "gpt-4o", "euro", currency="EUR", input=1.0, output=2.0), rates=euros))
    days = [datetime(2024, 7, 1, tzinfo=UTC), datetime(2026, 5, 31, tzinfo=UTC), JUNE]
    assert [cost(llm_store, "euro", at=day) for day in days] == pytest.approx([3.3, 3.3, 3.6])


def test_a_model_that_no_list_has_is_priced_by_an_override(llm_store: EmbeddedStore, settle: Settle) -> None:
    assert cost(llm_store, "house", "house-13b", provider="vllm") is None
    settle(overrides(PriceOverride("vllm", "house-13b", input=0.5, output=1.0)))
    assert cost(llm_store, "house", "House-13B", provider="vllm") == 1.5


def test_a_deployment_name_means_what_its_tenant_says(llm_store: EmbeddedStore, settle: Settle) -> None:
    """Also where somebody else's model has that name."""
    alias = ModelAlias("azure", "gpt-4o-mini", "openai/gpt-4o", tenant="deploys")
    settle(PriceSettings(aliases=(alias,)))
    assert cost(llm_store, "deploys", "gpt-4o-mini", provider="az.ai.openai") == 12.5
    assert cost(llm_store, "plain", "gpt-4o-mini", provider="az.ai.openai") == 0.75


def test_what_has_no_effect_is_told(llm_store: EmbeddedStore, settle: Settle, caplog: pytest.LogCaptureFixture) -> None:
    alias = ModelAlias("azure", "mine", "openai/gpt-nonsense")
    settle(PriceSettings(overrides=(PriceOverride("openai", "gpt-nonsense", discount=0.1),), aliases=(alias,)))
    assert "storage.prices.overrides" in caplog.messages[0]
    assert "storage.prices.aliases" in caplog.messages[1]
    assert cost(llm_store, "idle", "gpt-nonsense") is None


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ({}, "give a discount, or prices"),
        ({"discount": 15.0}, "0.15 for 15 %"),
        ({"input": -1.0}, "must be 0 or more"),
        ({"currency": "euro", "discount": 0.1}, "ISO 4217"),
        ({"prices": {"web_search": 1.0}, "model": "gpt-4o"}, "web_searches_kcount"),
        ({"input": 1.0, "model": ""}, "prices need a model"),
        ({"discount": 0.1, "valid_from": date(2026, 2, 1), "valid_to": date(2026, 1, 1)}, "is before valid_from"),
        ({"discount": 0.1, "provider": ""}, "provider is missing"),
    ],
)
def test_an_override_that_makes_no_sense_is_refused(given: dict[str, object], remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        PriceOverride(**{"provider": "openai", "model": "gpt-4o", **given})  # type: ignore[arg-type]


def test_a_currency_without_a_rate_is_refused() -> None:
    with pytest.raises(ValueError, match=r"storage\.prices\.exchange_rates"):
        overrides(PriceOverride("openai", "gpt-4o", currency="CHF", input=1.0))


def test_an_added_override_survives_and_can_be_removed(llm_store: EmbeddedStore, settle: Settle) -> None:
    mine = PriceOverride("openai", "gpt-4o", tenant="added", input=0.0, output=0.0)
    price_store.add_override(llm_store, PriceSettings(), mine)
    settle(PriceSettings())
    assert cost(llm_store, "added") == 0.0
    price_store.remove_override(llm_store, mine.id)
    settle(PriceSettings())
    assert cost(llm_store, "added") == 12.5
    with pytest.raises(PriceError, match="prices list --overrides"):
        price_store.remove_override(llm_store, mine.id)


def test_a_fetched_list_takes_over_and_says_so(llm_store: EmbeddedStore, settle: Settle) -> None:
    price_store.store_list(llm_store, price_list(input_mtok=7), "test")
    settle(PriceSettings())
    assert cost(llm_store, "fetched", "gpt-4o") == 7.0
    (row,) = llm_store.rows("SELECT price_version FROM llm_calls WHERE tenant = 'fetched'")
    assert row["price_version"].startswith(f"{prices.bundled().version} of 20")


@pytest.mark.parametrize("document", ["", "{}", "[]", "[{}]", '{"error": "rate limited"}', "<html>"])
def test_what_is_no_price_list_is_refused(llm_store: EmbeddedStore, document: str) -> None:
    with pytest.raises(PriceError, match=r"give the data\.json of genai-prices"):
        price_store.store_list(llm_store, document, "test")
    assert llm_store.rows("SELECT count() AS lists FROM llm_price_lists") == [{"lists": 0}]


def test_drift_compares_what_was_reported_with_what_was_computed(llm_store: EmbeddedStore, settle: Settle) -> None:
    settle(overrides(rates=(ExchangeRate("EUR", 2.0),)))
    spans = [insert_call("gpt-4o", "openai", JUNE, **MILLION) for _ in range(3)]
    reported = [("12.5", ""), ("10", "eur"), ("1", "XYZ")]
    for span, (amount, currency) in zip(spans, reported, strict=True):
        extra = {"gen_ai.usage.cost.amount": amount, **({"gen_ai.usage.cost.currency": currency} if currency else {})}
        span["SpanAttributes"] = {**span["SpanAttributes"], **extra}  # type: ignore[dict-item]
    costs(llm_store, "drift", spans)
    (row,) = llm_store.rows("SELECT * FROM llm_cost_drift WHERE tenant = 'drift'")
    assert {key: row[key] for key in ("calls", "cost", "reported_cost", "drift")} == {
        "calls": 2, "cost": 25.0, "reported_cost": 32.5, "drift": 7.5,
    }  # fmt: skip
    assert (row["drifting_calls"], row["unknown_currency_calls"], row["unpriced_calls"]) == (1, 1, 0)
    assert (row["day"], row["provider"], row["model"], row["dialect"]) == ("2026-06-01", "openai", "gpt-4o", "otel")


def price_list(**price: float) -> str:
    """A list of one model, in the format of data.json."""
    model = {"id": "gpt-4o", "match": {"equals": "gpt-4o"}, "prices": price}
    return json.dumps([{"id": "openai", "name": "OpenAI", "api_pattern": "https://api.openai.com", "models": [model]}])
