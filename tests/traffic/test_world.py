"""The world: prices, rhythm, arrivals, incidents, and errors in a world file."""

import copy
import random
from importlib.resources import files
from itertools import pairwise
from typing import Any

import pytest
import yaml
from genai_prices import Usage, calc_price

from llmhub.traffic import WorldError, default_world, parse_world
from llmhub.traffic.arrivals import arrive
from llmhub.traffic.dialects import DIALECTS
from llmhub.traffic.fitted import load_fit
from llmhub.traffic.rhythm import Rhythm
from llmhub.traffic.sampling import Choice, poisson
from tests.traffic.helpers import MONDAY

PRICE_PROVIDERS = {"gcp.gemini": "google"}


@pytest.mark.parametrize("name", sorted(default_world().models))
def test_every_model_has_a_price(name: str) -> None:
    model = default_world().models[name]
    provider = PRICE_PROVIDERS.get(model.provider.name, model.provider.name)
    usage = Usage(input_tokens=1000, cache_read_tokens=0 if model.embedding else 128, output_tokens=10)
    assert calc_price(usage, model_ref=model.response, provider_id=provider).total_price > 0


def test_every_dialect_is_spoken() -> None:
    assert {service.dialect for service in default_world().services} == set(DIALECTS)


def test_a_rhythm_has_mean_one_over_a_week_and_follows_the_local_clock() -> None:
    rhythm = Rhythm([0] * 8 + [1] * 10 + [0] * 6, [1, 1, 1, 1, 1, 0, 0], utc_offset=2)
    start = MONDAY.timestamp()
    minutes = [rhythm.factor(start + minute * 60) for minute in range(7 * 1440)]
    assert sum(minutes) / len(minutes) == pytest.approx(1, rel=1e-3)
    assert rhythm.factor(start + 7 * 3600) > 0
    assert rhythm.factor(start + 18 * 3600) == 0
    assert rhythm.factor(start + 5 * 86400 + 10 * 3600) == 0


@pytest.mark.parametrize(("kind", "least", "most"), [("code", 8, 20), ("conversation", 1.2, 1.6)])
def test_arrivals_are_as_bursty_as_the_trace(kind: str, least: float, most: float) -> None:
    """Variance over mean of the counts a second, at the trace's rate: 13.2 and 1.4 were measured."""
    rate = {"code": 2.567, "conversation": 5.53}[kind]
    counts = [0] * 20_000
    for arrival in arrive(load_fit().arrivals[kind], lambda _: rate, 0, len(counts), random.Random(3)):
        counts[int(arrival.time)] += 1
    mean = sum(counts) / len(counts)
    variance = sum((count - mean) ** 2 for count in counts) / len(counts)
    assert mean == pytest.approx(rate, rel=0.1)
    assert least < variance / mean < most


def test_arrivals_come_in_order_and_within_the_period() -> None:
    times = [a.time for a in arrive(load_fit().arrivals["code"], lambda _: 1.0, 100, 2000, random.Random(1))]
    assert all(left <= right for left, right in pairwise(times))
    assert times[0] >= 100
    assert times[-1] < 2000


@pytest.mark.parametrize("mean", [0.0, 0.3, 7.0, 1500.0])
def test_poisson_has_its_mean(mean: float) -> None:
    rng = random.Random(5)
    draws = [poisson(rng, mean) for _ in range(2000)]
    assert sum(draws) / len(draws) == pytest.approx(mean, rel=0.1)


def test_a_choice_refuses_weights_that_mean_nothing() -> None:
    with pytest.raises(ValueError, match="weights"):
        Choice(["a"], [0])


def test_lengths_stay_within_the_trace() -> None:
    rng = random.Random(2)
    lengths = load_fit().input_tokens["code"]
    assert all(lengths.smallest <= lengths.draw(rng) <= lengths.largest for _ in range(5000))


def test_the_calendar_of_a_seed_does_not_depend_on_the_period() -> None:
    calendar = default_world().incidents.calendar(7)
    start = MONDAY.timestamp()
    month = calendar.between(start, start + 30 * 86400)
    week = calendar.between(start, start + 7 * 86400)
    assert [one for one in month if one.start < start + 7 * 86400] == week
    assert 30 < len(month) < 100


def test_an_incident_has_its_effect_while_it_lasts_on_its_target_only() -> None:
    calendar = default_world().incidents.calendar(7)
    start = MONDAY.timestamp()
    incident = next(one for one in calendar.between(start, start + 60 * 86400) if one.name == "slow-provider")
    middle = (incident.start + incident.end) / 2
    assert calendar.effects(middle, incident.target).latency >= 3
    assert calendar.effects(middle, "nobody").latency == 1
    assert calendar.effects(incident.start - 2 * 3600, incident.target).latency == 1


@pytest.mark.parametrize(
    ("path", "wrong", "complaint"),
    [
        (("services", 0, "dialect"), "morse", "support-assistant.*dialect is 'morse'"),
        (("services", 0, "kind"), "haiku", "kind is 'haiku'"),
        (("services", 0, "flows"), {"dance": 1}, "flows is 'dance'"),
        (("services", 0, "embedding"), None, "support-assistant"),
        (("services", 0, "models"), {"gpt-0": 1}, "gpt-0"),
        (("services", 0, "colour"), "red", "colour"),
        (("models", "gpt-4o", "provider"), "nobody", "models.gpt-4o.*nobody"),
        (("rhythms", "office", "hours"), [1, 2], "24 hours"),
        (("errors", "rate_limit"), None, None),
        (("incidents", "kinds", 0, "scope"), "planet", "scope is 'planet'"),
        (("environments",), [], "environments"),
    ],
)
def test_a_wrong_world_is_refused_with_its_place(path: tuple[Any, ...], wrong: object, complaint: str | None) -> None:
    data = copy.deepcopy(world_data())
    part: Any = data
    for key in path[:-1]:
        part = part[key]
    if complaint is None:
        del part[path[-1]]
        complaint = "errors is wrong"
    else:
        part[path[-1]] = wrong
    with pytest.raises(WorldError, match=complaint):
        parse_world(data)


def world_data() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(files("llmhub.traffic").joinpath("world.yaml").read_text("utf-8"))
    return loaded
