"""`llmhub reprice` and `llmhub renormalise` on a hub that runs, is killed in the middle, and goes on."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from collector.signals import Signal
from tests.collector.requests import SECOND, call, span, traces
from tests.hub.conftest import StartHub
from tests.hub.process import Hub, environment

RANGE = ("--from", "2026-01-01", "--to", "2026-03-01")
FIRST, SECOND_MONTH = 1_768_000_000 * SECOND, 1_771_000_000 * SECOND
SUMS = "sum(calls) AS calls, sum(input_tokens) AS tokens, sum(cost) AS cost, sum(unpriced_calls) AS unpriced"
OF_CALLS = (
    "count() AS calls, sum(input_tokens) AS tokens, sum(ifNull(c.cost, 0)) AS cost, countIf(c.cost IS NULL) AS unpriced"
)
HALF = {"storage.prices.overrides": "[{provider: openai, discount: 0.5}]"}
ACME = {"storage.aliases": "[{slot: response_model, key: acme.model}, {slot: input_tokens, key: acme.tokens}]"}
KILLS = (0.5, 1.0)


def body(number: int, service: str, *, odd: bool = False) -> bytes:
    """Calls of two months."""
    spans = []
    for n in range(number):
        each = span({"acme.model": "gpt-4o-mini", "acme.tokens": 120, "acme.llm": 1}) if odd else call()
        each.start_time_unix_nano = (FIRST if n % 2 else SECOND_MONTH) + n * SECOND // 100
        each.end_time_unix_nano = each.start_time_unix_nano + SECOND
        spans.append(each)
    return traces(*spans, service=service).SerializeToString()


def totals(hub: Hub, service: str) -> dict[str, Any]:
    """What the calls add up to; the roll-up must say the same."""
    (row,) = hub.rows(f"SELECT {OF_CALLS} FROM llm_calls AS c WHERE service = '{service}'")
    (rolled_up,) = hub.rows(f"SELECT {SUMS} FROM llm_calls_1m WHERE service = '{service}'")
    assert {name: float(value) for name, value in rolled_up.items()} == pytest.approx(
        {name: float(value) for name, value in row.items()}
    )
    return row


def killed_meanwhile(hub: Hub, seconds: float, *arguments: str) -> None:
    """SIGKILL the hub some time after a command was started on it."""
    with subprocess.Popen(
        [sys.executable, "-m", "llmhub", *arguments, "--store", hub.dsn],
        cwd=hub.directory,
        env=environment(hub.settings, hub.directory),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ):
        time.sleep(seconds + 1.0)  # which it takes to start
        hub.process.kill()
        hub.process.wait()


def test_history_is_repriced_once_however_often_the_hub_is_killed(start_hub: StartHub, service: str) -> None:
    hub = start_hub()
    assert hub.post(Signal.TRACES, body(400, service)).status == 200
    before = totals(hub, service)
    hub.close()
    hub = start_hub(HALF)
    tried = hub.command("reprice", *RANGE, "--service", service, "--dry-run")
    assert (tried.code, "nothing was changed" in tried.out) == (0, True), tried.err
    assert totals(hub, service) == before
    for seconds in KILLS:
        killed_meanwhile(hub, seconds, "reprice", *RANGE)
        hub = start_hub(HALF)
        assert hub.post(Signal.TRACES, body(50, f"{service}-late")).status == 200
    ran = hub.command("reprice", *RANGE, "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["totals"]
    after = totals(hub, service)
    assert after["calls"] == before["calls"]
    assert float(after["cost"]) == pytest.approx(float(before["cost"]) / 2)
    late = totals(hub, f"{service}-late")
    assert late["calls"] == 50 * len(KILLS)
    assert float(late["cost"]) == pytest.approx(float(before["cost"]) / 2 * late["calls"] / before["calls"])
    again = hub.command("reprice", *RANGE)
    assert "0 calls and 0 steps differ" in again.out


def test_history_is_normalised_again_once_however_often_the_hub_is_killed(start_hub: StartHub, service: str) -> None:
    hub = start_hub()
    assert hub.post(Signal.TRACES, body(300, service, odd=True)).status == 200
    assert hub.post(Signal.TRACES, body(100, service)).status == 200
    assert totals(hub, service)["calls"] == 100
    hub.close()
    hub = start_hub(ACME)
    for seconds in KILLS:
        killed_meanwhile(hub, seconds, "renormalise", *RANGE)
        hub = start_hub(ACME)
        assert hub.post(Signal.TRACES, body(50, f"{service}-late", odd=True)).status == 200
    ran = hub.command("renormalise", *RANGE)
    assert ran.code == 0, ran.err
    assert "llm_calls and llm_calls_1m agree again" in ran.out
    assert totals(hub, service)["calls"] == 400
    assert totals(hub, f"{service}-late")["calls"] == 50 * len(KILLS)
    assert hub.rows("SELECT name FROM system.tables WHERE database = 'llm' AND startsWith(name, 'rewrite_')") == []


def test_a_range_that_ends_before_it_begins_is_refused(start_hub: StartHub) -> None:
    from tests.hub.process import llmhub

    hub = start_hub()
    ran = llmhub(hub.directory, "reprice", "--from", "2026-02-01", "--to", "2026-01-01", "--store", hub.dsn)
    assert (ran.code, "--to must be after --from" in ran.err) == (2, True)
