"""The generated traffic as a whole: order, determinism, distributions."""

import statistics
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from llmhub.traffic import Export, default_world, generate
from tests.traffic.helpers import MONDAY, Read, play, read

CALL_SCOPES = ("genai.openai", "genai.anthropic", "google_genai", "openai.v1", "instrumentation.openai")


def test_same_arguments_give_the_same_bytes() -> None:
    first, second = (play(MONDAY, MONDAY + timedelta(hours=1)) for _ in range(2))
    assert first == second
    assert first != play(MONDAY, MONDAY + timedelta(hours=1), seed=8)


def test_it_streams_and_does_not_wait_for_the_end_of_the_period() -> None:
    exports = generate(default_world(), start=MONDAY, end=MONDAY + timedelta(days=3650), rate=1.0, seed=1)
    assert next(exports).due < (MONDAY + timedelta(hours=1)).timestamp()


def test_periods_that_follow_each_other_share_no_trace_ids() -> None:
    middle = MONDAY + timedelta(hours=1)
    first, second = play(MONDAY, middle), play(middle, middle + timedelta(hours=1))
    ids = [{one.span.trace_id for one in read(exports)} for exports in (first, second)]
    assert not ids[0] & ids[1]


def test_an_export_holds_one_deployment_and_counts_what_is_in_it(day: list[Export]) -> None:
    for export in day[::20]:
        spans = list(read([export]))
        assert len({tuple(one.resource.items()) for one in spans}) == 1
        assert len(spans) == export.spans <= 512
        assert sum(is_call(one) for one in spans) == export.calls
        assert max(one.span.end_time_unix_nano for one in spans) / 1e9 == pytest.approx(export.due, abs=1e-3)


def test_due_times_are_in_order_to_within_the_longest_wait() -> None:
    latest = 0.0
    for export in play(MONDAY, MONDAY + timedelta(hours=3), max_wait=5.0):
        assert export.due > latest - 5.0
        latest = max(latest, export.due)


def test_span_ids_are_unique_and_parents_are_in_the_same_trace(spans: list[Read]) -> None:
    ids = {(one.span.trace_id, one.span.span_id) for one in spans}
    assert len(ids) == len(spans)
    for one in spans:
        assert len(one.span.trace_id) == 16
        assert len(one.span.span_id) == 8
        parent = one.span.parent_span_id
        assert not parent or (one.span.trace_id, parent) in ids


def test_children_lie_within_their_parents(spans: list[Read]) -> None:
    by_id = {one.span.span_id: one.span for one in spans}
    for one in spans:
        assert one.span.start_time_unix_nano < one.span.end_time_unix_nano
        if one.span.parent_span_id:
            parent = by_id[one.span.parent_span_id]
            assert parent.start_time_unix_nano <= one.span.start_time_unix_nano
            assert one.span.end_time_unix_nano <= parent.end_time_unix_nano


def test_the_mean_rate_of_a_week_is_the_one_asked_for() -> None:
    world = default_world()
    chats_and_agents = replace(world, services=(world.services[0], world.services[2]))
    exports = generate(
        chats_and_agents, start=MONDAY, end=MONDAY + timedelta(days=7), rate=0.02, seed=7, max_wait=3600.0
    )
    assert sum(export.calls for export in exports) / (7 * 86400) == pytest.approx(0.02, rel=0.1)


def test_nights_are_quiet(spans: list[Read]) -> None:
    hours = Counter(
        datetime.fromtimestamp(one.span.start_time_unix_nano / 1e9, MONDAY.tzinfo).hour
        for one in spans
        if one.resource["service.name"] == "code-copilot"
    )
    night = sum(hours[hour] for hour in (0, 1, 2, 3))
    office = sum(hours[hour] for hour in (8, 9, 13, 14))
    assert 0.002 < night / office < 0.05


def test_weekends_are_quiet_for_office_services() -> None:
    counts = []
    for day in (2, 5):
        start = MONDAY + timedelta(days=day)
        exports = play(start, start + timedelta(days=1), rate=0.1, max_wait=3600.0)
        counts.append(sum(one.resource["service.name"] == "document-search" for one in read(exports)))
    assert 0.05 < counts[1] / counts[0] < 0.25


def test_token_counts_have_the_means_that_were_fitted(spans: list[Read]) -> None:
    calls = [one.attributes for one in spans if one.resource["service.name"] == "code-copilot"]
    answered = [one for one in calls if "gen_ai.usage.input_tokens" in one]
    inputs = [one["gen_ai.usage.input_tokens"] for one in answered]
    outputs = [one["gen_ai.usage.output_tokens"] for one in answered]
    assert statistics.median(inputs) == pytest.approx(1469, rel=0.12)
    assert statistics.mean(inputs) == pytest.approx(2048, rel=0.12)
    assert statistics.mean(outputs) == pytest.approx(27.9, rel=0.12)


def test_most_calls_work_and_errors_come_in_every_class(spans: list[Read]) -> None:
    calls = [one for one in spans if is_call(one)]
    failed = [one for one in calls if one.span.status.code == 2]
    assert 0.004 < len(failed) / len(calls) < 0.08
    texts = " ".join({one.span.status.message for one in failed})
    for part in ("429", "timed out", "context_length"):
        assert part in texts


def test_a_part_of_the_prompts_comes_from_the_cache(spans: list[Read]) -> None:
    chats = [one.attributes for one in spans if "gen_ai.usage.cache_read.input_tokens" in one.attributes]
    share = sum(one["gen_ai.usage.cache_read.input_tokens"] for one in chats) / sum(
        one["gen_ai.usage.input_tokens"] for one in chats
    )
    assert 0.25 < share < 0.75
    for one in chats:
        written = one.get("gen_ai.usage.cache_write.input_tokens", 0)
        assert one["gen_ai.usage.cache_read.input_tokens"] + written <= one["gen_ai.usage.input_tokens"]


def test_few_users_make_most_of_the_calls(spans: list[Read]) -> None:
    users = Counter(one.attributes["user.id"] for one in spans if "user.id" in one.attributes)
    people = [count for user, count in users.most_common() if user.startswith("user-")]
    assert 150 <= len(people) <= 200
    assert 0.5 < sum(people[:20]) / sum(people) < 0.8


def test_services_teams_and_environments_are_those_of_the_world(spans: list[Read]) -> None:
    assert len({one.resource["service.name"] for one in spans}) == 6
    assert len({one.resource["llm_hub.team"] for one in spans}) == 3
    environments = Counter(one.resource["deployment.environment.name"] for one in spans)
    assert environments["staging"] / environments.total() == pytest.approx(0.07, abs=0.01)


@pytest.mark.parametrize(
    "wrong", [{"rate": 0}, {"max_spans": 0}, {"max_wait": 0}, {"start": MONDAY.replace(tzinfo=None)}]
)
def test_impossible_arguments_are_refused(wrong: dict[str, object]) -> None:
    right = {"start": MONDAY, "end": MONDAY + timedelta(hours=1), "rate": 1.0, "seed": 1}
    with pytest.raises(ValueError, match=r"positive|time zone"):
        generate(default_world(), **{**right, **wrong})  # type: ignore[arg-type]


def is_call(one: Read) -> bool:
    return one.scope.endswith(CALL_SCOPES)
