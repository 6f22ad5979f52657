"""Cost in SQL is what genai_prices charges."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot

from storage import prices
from storage.embedded import EmbeddedStore

CASES = 400
TOLERANCE = 1e-9


def insert_call(model: str, provider: str, time: datetime, **usage: int) -> dict[str, object]:
    names = {
        "input": "gen_ai.usage.input_tokens",
        "output": "gen_ai.usage.output_tokens",
        "cache_read": "gen_ai.usage.cache_read.input_tokens",
        "cache_write": "gen_ai.usage.cache_write.input_tokens",
    }
    return {
        "Timestamp": f"{time:%Y-%m-%d %H:%M:%S}",
        "TraceId": "0" * 31 + "1",
        "SpanId": "0" * 15 + "1",
        "SpanName": "chat",
        "SpanAttributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
            **{names[kind]: str(count) for kind, count in usage.items()},
        },
    }


def costs(store: EmbeddedStore, tenant: str, spans: list[dict[str, object]]) -> list[float | None]:
    """The cost of each span, written into otel_traces as another collector would."""
    rows = [{**row, "Tenant": tenant, "SpanId": f"{number:016x}"} for number, row in enumerate(spans, start=1)]
    store.insert(
        "otel_traces",
        "\n".join(map(json.dumps, rows)).encode(),
        fmt="JSONEachRow",
        settings={"max_partitions_per_insert_block": 0},
    )
    found = store.rows("SELECT span_id, cost FROM llm_calls WHERE tenant = {t:String}", params={"t": tenant})
    by_id = {row["span_id"]: row["cost"] for row in found}
    return [by_id[f"{number:016x}"] for number in range(1, len(spans) + 1)]


def random_cases() -> list[tuple[str, str, datetime, dict[str, int]]]:
    rng = random.Random(20_261_123)
    # deepseek has prices by time of day, which the table does not hold.
    plain = {"openai", "anthropic", "groq", "cohere", "google"}
    providers = [provider for provider in get_snapshot().providers if provider.id in plain]
    named = [(provider, model) for provider in providers for model in provider.models if model.is_match(model.id)]
    cases = []
    for _ in range(CASES):
        provider, model = rng.choice(named)
        prompt = rng.choice([rng.randrange(1, 5_000), rng.randrange(150_000, 900_000)])
        cached = rng.randrange(prompt)
        usage = {
            "input": prompt,
            "output": rng.randrange(10_000),
            "cache_read": cached,
            "cache_write": rng.randrange(prompt - cached),
        }
        time = datetime(2024, 6, 1, 12, tzinfo=UTC) + timedelta(days=rng.randrange(880))
        cases.append((provider.id, model.id, time, usage))
    return cases


def test_random_calls_cost_what_genai_prices_says(llm_store: EmbeddedStore) -> None:
    cases = random_cases()
    otel = {"google": "gcp.gemini"}
    stored = costs(llm_store, "prices", [insert_call(m, otel.get(p, p), time, **usage) for p, m, time, usage in cases])
    wrong = []
    for (provider, model, time, usage), cost in zip(cases, stored, strict=True):
        counts = Usage(
            input_tokens=usage["input"],
            output_tokens=usage["output"],
            cache_read_tokens=usage["cache_read"],
            cache_write_tokens=usage["cache_write"],
        )
        expected = float(calc_price(counts, model, provider_id=provider, genai_request_timestamp=time).total_price)
        if cost is None or abs(cost - expected) > TOLERANCE * max(1.0, expected):
            wrong.append((provider, model, time, usage, cost, expected))
    assert wrong == []


@pytest.mark.parametrize(
    ("provider", "model", "price_id"),
    [
        ("openai", "gpt-4o-mini-2024-07-18", "openai/gpt-4o-mini"),
        ("azure.ai.openai", "gpt-4o-mini", "openai/gpt-4o-mini"),
        ("gcp.gemini", "gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("", "text-embedding-3-small", "openai/text-embedding-3-small"),
        ("", "claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
    ],
)
def test_a_name_leads_to_its_price(provider: str, model: str, price_id: str) -> None:
    found = {(row.provider, row.model): row.price_id for row in prices.models()}
    assert found[provider, model] == price_id


def test_a_price_change_applies_from_its_day_on(llm_store: EmbeddedStore) -> None:
    before = insert_call("o3", "openai", datetime(2025, 1, 1, tzinfo=UTC), input=1_000_000)
    after = insert_call("o3", "openai", datetime(2026, 1, 1, tzinfo=UTC), input=1_000_000)
    assert costs(llm_store, "o3", [before, after]) == [10.0, 2.0]


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
    call = insert_call(model, "anthropic", datetime(2026, 6, 1, tzinfo=UTC), input=1_000_000)
    assert costs(llm_store, f"spelling {model}", [call]) == [6.0]  # above 200 000 tokens


def test_an_unknown_model_has_no_cost_instead_of_a_wrong_one(llm_store: EmbeddedStore) -> None:
    call = insert_call("house-model-7", "acme", datetime(2026, 6, 1, tzinfo=UTC), input=10)
    assert costs(llm_store, "unknown", [call]) == [None]


def test_a_failed_call_without_usage_costs_nothing_even_where_a_request_has_a_fee(llm_store: EmbeddedStore) -> None:
    call = insert_call("sonar", "perplexity", datetime(2026, 6, 1, tzinfo=UTC))
    attributes = {**call["SpanAttributes"], "error.type": "RateLimitError"}  # type: ignore[dict-item]
    assert costs(llm_store, "failed", [{**call, "SpanAttributes": attributes, "StatusCode": "Error"}]) == [0.0]


def test_an_exception_that_a_good_call_recorded_is_no_error(llm_store: EmbeddedStore) -> None:
    call = insert_call("gpt-4o", "openai", datetime(2026, 6, 1, tzinfo=UTC), input=10)
    events = {
        "Events.Timestamp": ["2026-06-01 00:00:00"],
        "Events.Name": ["exception"],
        "Events.Attributes": [{"exception.type": "RateLimitError"}],
    }
    costs(llm_store, "retried", [{**call, **events, "StatusCode": "Ok"}, {**call, **events, "StatusCode": "Error"}])
    rows = llm_store.rows("SELECT is_error, error_class FROM llm_calls WHERE tenant = 'retried' ORDER BY span_id")
    assert rows == [{"is_error": False, "error_class": ""}, {"is_error": True, "error_class": "rate_limit"}]
