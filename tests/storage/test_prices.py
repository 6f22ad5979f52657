"""Cost in SQL is what genai_prices charges."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot
from genai_prices.data_units import unit_data
from genai_prices.types import ModelInfo, ModelPrice, Provider

from storage import prices, rates
from storage.embedded import EmbeddedStore

CASES = 12_000
TOLERANCE = 1e-9
KEYS = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_write.input_tokens",
    "cache_write_1h_tokens": "anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
    "output_reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "input_audio_tokens": "gen_ai.usage.audio.input_tokens",
    "output_audio_tokens": "gen_ai.usage.audio.output_tokens",
    "cache_audio_read_tokens": "gen_ai.usage.audio.cache_read.input_tokens",
    "input_image_tokens": "gen_ai.usage.image.input_tokens",
    "output_image_tokens": "gen_ai.usage.image.output_tokens",
    "cache_image_read_tokens": "gen_ai.usage.image.cache_read.input_tokens",
    "input_video_tokens": "gen_ai.usage.video.input_tokens",
}
PERPLEXITY_FEE = 0.012  # of a search with high context, the dearest, as genai-prices has it
SIZES = (1_000, 40_000, 130_000, 199_999, 200_000, 200_001, 272_001, 600_000)


def insert_call(model: str, provider: str, time: datetime, tier: str = "", /, **usage: int) -> dict[str, object]:
    """A row of otel_traces. Usage is by unit of genai-prices."""
    tokens = {KEYS.get(unit, f"llm_hub.usage.{unit}"): str(count) for unit, count in usage.items()}
    return {
        "Timestamp": f"{time:%Y-%m-%d %H:%M:%S}",
        "TraceId": "0" * 31 + "1",
        "SpanId": "0" * 15 + "1",
        "SpanName": "chat",
        "SpanAttributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
            "gen_ai.token.semantics": "inclusive",
            **({"openai.response.service_tier": tier} if tier else {}),
            **tokens,
        },
    }


def insert(store: EmbeddedStore, tenant: str, spans: list[dict[str, object]]) -> None:
    """Write the spans into otel_traces as another collector would; span ids count from 1."""
    rows = [{**row, "Tenant": tenant, "SpanId": f"{number:016x}"} for number, row in enumerate(spans, start=1)]
    store.insert(
        "otel_traces",
        "\n".join(map(json.dumps, rows)).encode(),
        fmt="JSONEachRow",
        settings={"max_partitions_per_insert_block": 0},
    )


def costs(store: EmbeddedStore, tenant: str, spans: list[dict[str, object]]) -> list[float | None]:
    insert(store, tenant, spans)
    found = store.rows("SELECT span_id, cost FROM llm_calls WHERE tenant = {t:String}", params={"t": tenant})
    by_id = {row["span_id"]: row["cost"] for row in found}
    return [by_id[f"{number:016x}"] for number in range(1, len(spans) + 1)]


@dataclass(frozen=True)
class Case:
    provider: str
    model: str
    time: datetime
    context: dict[str, str]
    usage: dict[str, int]

    def span(self) -> dict[str, object]:
        return insert_call(self.model, self.provider, self.time, "".join(self.context.values()), **self.usage)

    def expected(self) -> float:
        usage = Usage(**self.usage)
        price = calc_price(
            usage,
            self.model,
            provider_id=self.provider,
            genai_request_timestamp=self.time,
            price_context=self.context,
        )
        return float(price.total_price)


def random_usage(rng: random.Random, model: ModelInfo, time: datetime) -> dict[str, int]:
    """Counts of what the model has prices for, and of what every call may have: a whole is the sum of its parts."""
    priced = {unit for unit, of in unit_data.items() if of["price_key"] in rates.charged(model.get_prices(time))}
    units = sorted((priced | {*rates.CORE}) - {"requests"})
    exactly = {unit: rng.randrange(1, 2_000) * rng.randrange(2) for unit in units}
    exactly["input_tokens"] += rng.choice([0, *SIZES])
    dimensions = {unit: unit_data[unit]["dimensions"].items() for unit in units}
    whole = {unit: sum(exactly[part] for part in units if dimensions[unit] <= dimensions[part]) for unit in units}
    if rng.randrange(4) == 0 and whole["input_tokens"] < max(SIZES):  # right at a threshold
        whole["input_tokens"] = max(whole["input_tokens"], rng.choice(SIZES))
    return whole


def random_case(rng: random.Random, provider: Provider, model: ModelInfo) -> Case:
    time = datetime(2024, 6, 1, tzinfo=UTC) + timedelta(days=rng.randrange(910), seconds=rng.randrange(86_400))
    contexts = [{}, *(variant.when for variant in model.price_variants or ()), {"service_tier": "auto"}]
    return Case(provider.id, model.id, time, rng.choice(contexts), random_usage(rng, model, time))


def random_cases() -> list[Case]:
    """A third of the cases are of the models whose prices are the least simple."""
    rng = random.Random(20_261_123)
    providers = get_snapshot().providers
    every = [
        (provider, model)
        for provider in providers
        for model in [m for p in (provider.id, *(provider.fallback_model_providers or ())) for m in by_id(p).models]
        if provider.find_model(model.id, all_providers=providers) is model
        and f"{provider.id}/{model.id}" not in prices.NOT_LINEAR
    ]
    intricate = [pair for pair in every if pair[1].price_variants or not isinstance(pair[1].prices, ModelPrice)]
    return [random_case(rng, *rng.choice(intricate if number % 3 == 0 else every)) for number in range(CASES)]


def by_id(name: str) -> Provider:
    return next(provider for provider in get_snapshot().providers if provider.id == name)


def test_random_calls_cost_what_genai_prices_says(llm_store: EmbeddedStore) -> None:
    cases = random_cases()
    stored = costs(llm_store, "prices", [case.span() for case in cases])
    wrong = [
        (case, cost, expected)
        for case, cost, expected in zip(cases, stored, [case.expected() for case in cases], strict=True)
        if cost is None or abs(cost - expected) > TOLERANCE
    ]
    assert wrong == []


REGIONAL = "aws/regional.anthropic.claude-sonnet-4-5-20250929-v1:0"


@pytest.mark.parametrize(
    ("provider", "model", "price_id"),
    [
        ("openai", "gpt-4o-mini-2024-07-18", "openai/gpt-4o-mini"),
        ("azure.ai.openai", "gpt-4o-mini", "openai/gpt-4o-mini@azure"),
        ("gcp.gemini", "gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("", "text-embedding-3-small", "openai/text-embedding-3-small"),
        ("", "claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        # Where Bedrock serves a call decides about its price.
        ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", REGIONAL),
        ("aws.bedrock", "jp.anthropic.claude-sonnet-4-5-20250929-v1:0", REGIONAL),
        ("aws.bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", REGIONAL),
        ("aws.bedrock", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", REGIONAL.replace("regional", "global")),
        ("aws.bedrock", "eu.amazon.nova-lite-v1:0", "aws/amazon.nova-lite-v1:0"),
    ],
)
def test_a_name_leads_to_its_price(provider: str, model: str, price_id: str) -> None:
    found = {(row.provider, row.model): row.price_id for row in prices.bundled().models}
    assert found[provider, model] == price_id


JUNE = datetime(2026, 6, 1, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("feature", "call", "cost"),
    [
        ("input", insert_call("gpt-4o", "openai", JUNE, input_tokens=1_000_000), 2.5),
        ("output", insert_call("gpt-4o", "openai", JUNE, input_tokens=0, output_tokens=1_000_000), 10),
        ("cached", insert_call("gpt-4o", "openai", JUNE, input_tokens=1_000_000, cache_read_tokens=400_000), 2),
        (
            "write",
            insert_call("claude-haiku-4-5", "anthropic", JUNE, input_tokens=10_000, cache_write_tokens=10_000),
            0.0125,
        ),
        (
            "write of 1 h",
            insert_call(
                "claude-haiku-4-5",
                "anthropic",
                JUNE,
                input_tokens=10_000,
                cache_write_tokens=10_000,
                cache_write_1h_tokens=4_000,
            ),
            0.0155,
        ),
        ("below the tier", insert_call("claude-sonnet-4-5", "anthropic", JUNE, input_tokens=200_000), 0.6),
        ("above the tier", insert_call("claude-sonnet-4-5", "anthropic", JUNE, input_tokens=200_001), 1.200006),
        ("request fee", insert_call("sonar", "perplexity", JUNE, input_tokens=1_000), 0.001 + PERPLEXITY_FEE),
        (
            "before the change",
            insert_call("o3", "openai", datetime(2025, 1, 1, tzinfo=UTC), input_tokens=1_000_000),
            10,
        ),
        ("after the change", insert_call("o3", "openai", datetime(2026, 1, 1, tzinfo=UTC), input_tokens=1_000_000), 2),
        ("batch", insert_call("gpt-4o", "openai", NOVEMBER, "batch", input_tokens=1_000_000), 1.25),
        ("priority", insert_call("gpt-4o", "openai", NOVEMBER, "priority", input_tokens=1_000_000), 4.25),
        ("tier before it had a price", insert_call("gpt-4o", "openai", JUNE, "batch", input_tokens=1_000_000), 2.5),
        ("tier without a price", insert_call("gpt-4o", "openai", NOVEMBER, "auto", input_tokens=1_000_000), 2.5),
        ("tier of a reseller", insert_call("gpt-4o", "azure", NOVEMBER, "batch", input_tokens=1_000_000), 2.5),
        ("night", insert_call("deepseek-chat", "deepseek", JUNE.replace(hour=17), input_tokens=1_000_000), 0.135),
        (
            "day",
            insert_call("deepseek-chat", "deepseek", JUNE.replace(hour=16, minute=29), input_tokens=1_000_000),
            0.27,
        ),
        ("web search", insert_call("gpt-4o", "openai", JUNE, input_tokens=0, web_searches=3), 0.03),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_what_is_charged_for(llm_store: EmbeddedStore, feature: str, call: dict[str, object], cost: float) -> None:
    assert costs(llm_store, f"charged {feature}", [call]) == [pytest.approx(cost, abs=TOLERANCE)]


def test_parts_of_a_prompt_in_another_modality_have_prices_of_their_own(llm_store: EmbeddedStore) -> None:
    """USD a million: text 4, cached 0.4, output 16; audio 32, cached 0.4, output 64; images 5, cached 0.5."""
    counts: dict[str, Any] = {
        "input_tokens": 10_000,
        "cache_read_tokens": 3_000,
        "input_audio_tokens": 4_000,
        "cache_audio_read_tokens": 1_000,
        "input_image_tokens": 2_000,
        "cache_image_read_tokens": 500,
        "output_tokens": 1_000,
        "output_audio_tokens": 600,
    }
    text = 2_500 * 4 + 1_500 * 0.4 + 400 * 16
    audio = 3_000 * 32 + 1_000 * 0.4 + 600 * 64
    images = 1_500 * 5 + 500 * 0.5
    call = insert_call("gpt-realtime", "openai", JUNE, **counts)
    assert costs(llm_store, "modality", [call]) == [pytest.approx((text + audio + images) / 1e6, abs=TOLERANCE)]


def test_parts_that_are_more_than_the_whole_do_not_make_a_call_cheaper(llm_store: EmbeddedStore) -> None:
    call = insert_call("gpt-4o", "openai", JUNE, input_tokens=10, cache_read_tokens=1_000_000)
    assert costs(llm_store, "parts", [call]) == [1.25]


@pytest.mark.parametrize(
    ("key", "value", "usage"),
    [
        (
            "langfuse.observation.usage_details",
            '{"prompt_tokens": 100, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 40}, '
            '"completion_tokens_details": {"audio_tokens": 30, "reasoning_tokens": 0}}',
            {"input_audio_tokens": 40, "output_audio_tokens": 30},
        ),
        (
            "metadata.usage_object",
            "{'prompt_tokens': 100, 'prompt_tokens_details': {'audio_tokens': None, 'cached_tokens': 0}, "
            "'server_tool_use': {'web_search_requests': 2}}",
            {"web_searches": 2},
        ),
    ],
)
def test_details_are_read_out_of_usage_objects(
    llm_store: EmbeddedStore, key: str, value: str, usage: dict[str, int]
) -> None:
    call = insert_call("gpt-4o", "openai", JUNE, input_tokens=100)
    call["SpanAttributes"] = {**call["SpanAttributes"], key: value}  # type: ignore[dict-item]
    insert(llm_store, key, [call])
    (row,) = llm_store.rows("SELECT usage_details FROM llm_calls WHERE tenant = {t:String}", params={"t": key})
    assert row["usage_details"] == usage


def test_the_two_kinds_of_cache_writes_make_up_the_writes(llm_store: EmbeddedStore) -> None:
    call = insert_call("claude-haiku-4-5", "anthropic", JUNE, input_tokens=100, cache_write_1h_tokens=20)
    parts = {"anthropic.usage.cache_creation.ephemeral_5m_input_tokens": "30"}
    call["SpanAttributes"] = {**call["SpanAttributes"], **parts}  # type: ignore[dict-item]
    insert(llm_store, "writes", [call])
    rows = llm_store.rows("SELECT cache_write_tokens, cache_write_1h_tokens FROM llm_calls WHERE tenant = 'writes'")
    assert rows == [{"cache_write_tokens": 50, "cache_write_1h_tokens": 20}]


def test_a_call_says_which_price_it_was_computed_from(llm_store: EmbeddedStore) -> None:
    costs(llm_store, "version", [insert_call("gpt-4o", "openai", NOVEMBER, "batch", input_tokens=1)])
    (row,) = llm_store.rows("SELECT price_id, price_version, service_tier FROM llm_calls WHERE tenant = 'version'")
    assert row["price_id"] == "openai/gpt-4o"
    assert row["price_version"] == f"{prices.bundled().version} 2026-10-14 batch"
    assert row["service_tier"] == "batch"


@pytest.mark.parametrize(
    "model",
    [
        "claude-sonnet-4-5-20250929",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "anthropic/claude-sonnet-4-5:beta",
        "Claude-Sonnet-4-5",
    ],
)
def test_spellings_of_a_model_cost_the_same(llm_store: EmbeddedStore, model: str) -> None:
    call = insert_call(model, "anthropic", datetime(2026, 6, 1, tzinfo=UTC), input_tokens=1_000_000)
    assert costs(llm_store, f"spelling {model}", [call]) == [6.0]  # above 200 000 tokens


def test_an_unknown_model_has_no_cost_instead_of_a_wrong_one(llm_store: EmbeddedStore) -> None:
    call = insert_call("house-model-7", "acme", datetime(2026, 6, 1, tzinfo=UTC), input_tokens=10)
    assert costs(llm_store, "unknown", [call]) == [None]


def test_a_failed_call_without_usage_costs_nothing_even_where_a_request_has_a_fee(llm_store: EmbeddedStore) -> None:
    call = insert_call("sonar", "perplexity", datetime(2026, 6, 1, tzinfo=UTC))
    attributes = {**call["SpanAttributes"], "error.type": "RateLimitError"}  # type: ignore[dict-item]
    assert costs(llm_store, "failed", [{**call, "SpanAttributes": attributes, "StatusCode": "Error"}]) == [0.0]


def test_an_exception_that_a_good_call_recorded_is_no_error(llm_store: EmbeddedStore) -> None:
    call = insert_call("gpt-4o", "openai", datetime(2026, 6, 1, tzinfo=UTC), input_tokens=10)
    events = {
        "Events.Timestamp": ["2026-06-01 00:00:00"],
        "Events.Name": ["exception"],
        "Events.Attributes": [{"exception.type": "RateLimitError"}],
    }
    costs(llm_store, "retried", [{**call, **events, "StatusCode": "Ok"}, {**call, **events, "StatusCode": "Error"}])
    rows = llm_store.rows("SELECT is_error, error_class FROM llm_calls WHERE tenant = 'retried' ORDER BY span_id")
    assert rows == [{"is_error": False, "error_class": ""}, {"is_error": True, "error_class": "rate_limit"}]
