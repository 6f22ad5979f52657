"""What the numbers on LLM / Overview mean, against the seeded calls themselves."""

import time
from collections import Counter
from collections.abc import Callable

import pytest

from grafana.query_files import load
from tests.grafana.engine import Grafana
from tests.grafana.seed import NEIGHBOUR, SILENCE, Seed

HOUR = 60
MONTH = 30 * 24 * 60
# quantilesDD(0.01) is off by at most 1 % from one second up; below, its rounding puts it 1 to 3 % too high.
TOO_LOW, TOO_HIGH = 0.01, 0.0304


def test_last_call_is_told_when_nothing_is_in_the_time_range(seeded: Grafana, month: Seed) -> None:
    seconds = seeded.ask(load("stat_last_call"), ago=400 * 24 * 60).value
    assert 0 <= seconds <= time.time() - month.now + 3


@pytest.mark.parametrize(("minutes", "interval"), [(5, 60), (HOUR, 60), (6 * HOUR, 120), (MONTH, 3600)])
def test_totals_are_those_of_the_calls(seeded: Grafana, month: Seed, minutes: int, interval: int) -> None:
    calls = month.of(since=month.now - minutes * 60)
    totals: dict[str, Callable[[], float]] = {
        "stat_calls": lambda: len(calls),
        "stat_cost": lambda: sum(row["cost"] or 0 for row in calls),
        "stat_tokens": lambda: sum(row["input_tokens"] + row["output_tokens"] for row in calls),
        "stat_error_rate": lambda: sum(row["is_error"] for row in calls) / len(calls),
    }
    for name, expected in totals.items():
        assert seeded.ask(load(name), minutes=minutes, interval=interval).value == pytest.approx(expected())


@pytest.mark.parametrize(("minutes", "interval"), [(HOUR, 60), (6 * HOUR, 300), (MONTH, 3600), (MONTH, 86400)])
def test_rates_times_their_buckets_give_the_calls_back(
    seeded: Grafana, month: Seed, minutes: int, interval: int
) -> None:
    start = (month.now - minutes * 60) // interval * interval
    rows = seeded.ask(load("calls_by_model"), minutes=minutes, interval=interval).rows
    full = [row for row in rows if row["time"] < max(row["time"] for row in rows)]
    last = [row for row in rows if row not in full]
    covered = month.now // 60 * 60 + 60 - (month.now - month.now % interval)
    calls = sum(row["Value"] for row in full) * interval / 60 + sum(row["Value"] for row in last) * covered / 60
    assert calls == pytest.approx(len(month.of(since=start)))


def test_a_silence_is_drawn_as_no_calls_and_as_a_gap_in_the_latency(seeded: Grafana, month: Seed) -> None:
    silent = len(SILENCE) - 1
    calls = Counter[str]()
    for row in seeded.ask(load("calls_by_model")).rows:
        calls[row["time"]] += row["Value"]
    assert silent <= sum(value == 0 for value in calls.values()) <= silent + 2
    latency = seeded.ask(load("latency")).rows
    assert silent <= sum(row["p95"] is None for row in latency) <= silent + 2
    assert len(latency) == len(calls)


def test_the_busiest_models_have_their_names_and_the_rest_is_added_up(seeded: Grafana, month: Seed) -> None:
    series = {row["series"] for row in seeded.ask(load("calls_by_model")).rows}
    assert len(series) == 9
    assert "all others" in series


@pytest.mark.parametrize("quantile", [0.5, 0.95])
def test_latency_is_that_of_the_calls(seeded: Grafana, month: Seed, quantile: float) -> None:
    rows = {row["Model"]: row for row in seeded.ask(load("top_models"), minutes=MONTH, interval=3600).rows}
    calls = month.of(since=month.now - MONTH * 60)
    for model, row in rows.items():
        durations = sorted(call["duration"] for call in calls if call["model"] == model)
        # Definitions of a quantile differ by which neighbour they take.
        rank = int(quantile * (len(durations) - 1))
        low, high = durations[rank - 1], durations[rank + 2]
        assert low * (1 - TOO_LOW) <= row["p50" if quantile == 0.5 else "p95"] <= high * (1 + TOO_HIGH)


def test_time_to_first_token_leaves_out_calls_that_do_not_stream(seeded: Grafana, month: Seed) -> None:
    rows = seeded.ask(load("time_to_first_token"), minutes=MONTH, interval=86400).rows
    streamed = [call["time_to_first_token"] for call in month.of() if call["streaming"]]
    medians = [row["p50"] for row in rows if row["p50"] is not None]
    assert medians
    assert all(min(streamed) * (1 - TOO_LOW) <= median <= max(streamed) * (1 + TOO_HIGH) for median in medians)


def test_the_kinds_of_token_add_up_to_all_tokens(seeded: Grafana, month: Seed) -> None:
    frame = seeded.ask(load("tokens"), ago=1)
    kinds = [column for column in frame.types if column != "time"]
    expected = sum(row["input_tokens"] + row["output_tokens"] for row in month.of(since=month.now - 61 * 60))
    expected -= sum(row["input_tokens"] + row["output_tokens"] for row in month.of(since=(month.now // 60) * 60))
    assert sum(row[kind] for row in frame.rows for kind in kinds) == pytest.approx(expected)


def test_cost_per_hour_over_the_hour_is_the_cost(seeded: Grafana) -> None:
    rows = seeded.ask(load("cost_by_model")).rows
    assert sum(row["Value"] for row in rows) / 60 == pytest.approx(seeded.ask(load("stat_cost")).value)


def test_calls_without_a_price_are_listed_with_their_model(seeded: Grafana, month: Seed) -> None:
    rows = seeded.ask(load("unpriced_calls"), minutes=MONTH).rows
    unpriced = [call for call in month.of(since=month.now - MONTH * 60) if call["cost"] is None]
    assert rows == [
        {"Model": "o'brien-7b", "Provider": "self hosted", "Unpriced calls": len(unpriced), "Share of its calls": 1}
    ]


def test_users_are_ranked_by_what_they_cost(seeded: Grafana, month: Seed) -> None:
    spent = Counter[str]()
    for call in month.of(since=month.now - MONTH * 60):
        if call["user_id"]:
            spent[call["user_id"]] += call["cost"] or 0
    rows = seeded.ask(load("top_users"), minutes=MONTH).rows
    assert [row["User"] for row in rows] == [user for user, _ in spent.most_common(20)]


def test_services_count_their_users_once(seeded: Grafana, month: Seed) -> None:
    rows = seeded.ask(load("top_services"), minutes=MONTH).rows
    for row in rows:
        calls = [call for call in month.of(since=month.now - MONTH * 60) if call["service"] == row["Service"]]
        assert row["Users"] == len({call["user_id"] for call in calls} - {""})
        assert row["Calls"] == len(calls)


def test_a_tenant_sees_only_its_own_calls(seeded: Grafana, month: Seed) -> None:
    sql = load("stat_calls")
    mine, theirs = (seeded.ask(sql, minutes=MONTH, chosen={"tenant": tenant}).value for tenant in ("acme", NEIGHBOUR))
    since = month.now - MONTH * 60
    assert (mine, theirs) == (len(month.of(since=since)), len(month.of(NEIGHBOUR, since=since)))
    assert seeded.ask(sql, minutes=MONTH, chosen={"tenant": "nobody"}).value == 0


def test_each_variable_offers_what_the_ones_before_it_leave(seeded: Grafana) -> None:
    def offered(name: str, **chosen: list[str]) -> list[str]:
        frame = seeded.ask(load(f"variable_{name}"), minutes=MONTH, chosen=chosen)
        return [row[name] for row in frame.rows]

    assert offered("tenant") == ["acme", NEIGHBOUR]
    assert offered("environment") == ["production", "staging"]
    assert offered("model", provider=["openai"]) == ["gpt-4o", "gpt-4o-mini", "o3"]
    assert offered("model", provider=["openai"], service=["no such service"]) == []


def test_only_serious_events_are_marked(seeded: Grafana) -> None:
    rows = seeded.ask(load("annotation_events")).rows
    assert [row["title"] for row in rows] == ["guardrail.block"]
    assert rows[0]["tags"] == "security,support-chat"
