"""What LLM / Gaps tells, against the seeded calls and spans."""

from grafana.query_files import load
from tests.grafana.engine import Grafana
from tests.grafana.seed import Seed

MONTH = 30 * 24 * 60


def test_tokens_without_a_price_come_with_a_trace_and_the_command_that_prices_them(
    seeded: Grafana, month: Seed
) -> None:
    rows = seeded.ask(load("gaps_unpriced"), minutes=MONTH, interval=3600).rows
    calls = [row for row in month.of() if row["has_usage"] and row["cost"] is None]
    assert {row["Model"] for row in rows} == {"o'brien-7b"}
    assert sum(row["Tokens"] for row in rows) == sum(row["input_tokens"] + row["output_tokens"] for row in calls)
    assert {row["Sample trace"] for row in rows} <= {call["trace_id"] for call in calls}
    assert all(row["What sets a price"].startswith("llmhub prices override --provider") for row in rows)


def test_spans_that_are_not_understood_come_with_a_trace_and_the_line_that_maps_them(
    seeded: Grafana, month: Seed
) -> None:
    rows = seeded.ask(load("gaps_unmapped"), minutes=MONTH, interval=3600).rows
    assert {row["Service"]: row["Spans"] for row in rows} == {row["service"]: 3 for row in month.unmapped}
    assert {(row["What is missing"], row["Sample trace"], row["What would map it"]) for row in rows} == {
        ("matches no dialect", "ab" * 16, "storage.operations: [{value: summarise, role: llm, operation: chat}]")
    }
