"""`llmhub doctor` finds what is wrong and says what to do, and the registry follows its file while the hub runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from collector.signals import Signal
from llmhub.doctor import prices
from storage.embedded import EmbeddedStore
from tests.collector.requests import call, span, traces
from tests.hub.conftest import StartHub
from tests.hub.process import Hub, llmhub, until


def doctor(hub: Hub, code: int = 0) -> dict[str, list[dict[str, Any]]]:
    ran = hub.command("doctor", "--json")
    assert ran.code == code, ran.out + ran.err
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(ran.out):
        found.setdefault(finding["check"], []).append(finding)
    return found


def test_a_hub_in_good_order_has_nothing_to_do(start_hub: StartHub, service: str) -> None:
    hub = start_hub()
    assert hub.post(Signal.TRACES, traces(call(), service=service).SerializeToString()).status == 200
    found = doctor(hub)
    assert {check: [each["state"] for each in findings] for check, findings in found.items()} == {
        check: ["ok"] for check in ("readiness", "ledger", "spool", "dead letters", "store", "prices", "gaps")
    }
    ran = hub.command("doctor")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "Nothing to do.")


def test_gaps_are_told_with_a_trace_and_the_line_that_closes_them(start_hub: StartHub, service: str) -> None:
    hub = start_hub({"gaps.interval_seconds": "0.2"})
    unpriced = call(request__model="house-7b", response__model="house-7b")
    odd = span({"gen_ai.operation.name": "summarise", "gen_ai.request.model": "m"}, name="odd")
    assert hub.post(Signal.TRACES, traces(unpriced, odd, service=service).SerializeToString()).status == 200
    assert hub.post(Signal.TRACES, traces(span(trace_id=b"short"), service=service).SerializeToString()).status == 200

    found = doctor(hub)
    (price,), (unmapped,), (letters,) = found["no_price"], found["unmapped"], found["dead letters"]
    assert (price["state"], price["sample_trace_id"]) == ("warning", unpriced.trace_id.hex())
    assert "--provider openai --model house-7b" in price["fix"]
    assert (unmapped["fix"], unmapped["sample_trace_id"]) == (
        "storage.operations: [{value: summarise, role: llm, operation: chat}]", odd.trace_id.hex())  # fmt: skip
    assert (letters["state"], letters["fix"]) == ("warning", "llmhub dlq list")
    shown = hub.command("doctor").out
    assert f"tokens without a price: 1 of {service}, openai house-7b" in shown
    assert f"for example trace {unpriced.trace_id.hex()}" in shown
    assert "3 to look at." in shown

    labels = {"gap": "no_price", "service": service, "model": "house-7b"}
    assert until(lambda: hub.metric("llmhub_gaps_calls", **labels) == 1, 20)
    assert hub.metric("llmhub_gaps_calls", gap="unmapped", service=service, model="") == 1


def test_the_registry_follows_its_file_without_a_restart(start_hub: StartHub, directory: Path, service: str) -> None:
    path = directory / "services.yaml"
    path.write_text(f"services:\n  - {{service: {service}, team: payments, approved_models: [gpt-4o]}}\n")
    hub = start_hub({"storage.registry.path": "services.yaml", "storage.registry.check_seconds": "0.1"})
    assert hub.post(Signal.TRACES, traces(call(response__id="1"), service=service).SerializeToString()).status == 200
    teams = f"SELECT team FROM llm_calls WHERE service = '{service}' ORDER BY timestamp"
    assert hub.rows(teams) == [{"team": "payments"}]
    (good, unapproved) = doctor(hub)["registry"]
    assert good["state"] == "ok"
    assert (unapproved["state"], "used gpt-4o-mini-2024-07-18, which is not approved" in unapproved["text"]) == (
        "warning",
        True,
    )

    path.write_text("services:\n  - {team: nobody}\n")
    assert until(lambda: hub.metric("llmhub_registry_good") == 0, 20) == 1
    (bad, _) = doctor(hub, code=1)["registry"]
    assert bad["state"] == "failed"
    assert f"{path}, line 2: the entry has no service" in bad["text"]

    path.write_text(f"services:\n  - {{service: {service}, team: growth}}\n")
    assert until(lambda: hub.metric("llmhub_registry_good") == 1, 20) == 1
    assert hub.post(Signal.TRACES, traces(call(response__id="2"), service=service).SerializeToString()).status == 200
    assert {row["team"] for row in hub.rows(teams)} == {"payments", "growth"}


def test_a_hub_starts_with_a_registry_that_cannot_be_used(start_hub: StartHub, directory: Path) -> None:
    (directory / "services.csv").write_text("teem\nx\n")
    hub = start_hub({"storage.registry.path": "services.csv"})
    assert hub.metric("llmhub_registry_good") == 0
    assert "services.csv, line 1: unknown column 'teem'" in hub.log


def test_old_prices_are_told_with_the_command_that_fetches_new_ones(
    llm_store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmhub.doctor._STALE_PRICES_DAYS", -1)
    found = prices(llm_store)
    assert (found.state, found.fix.split(";")[0]) == ("warning", "llmhub prices refresh")


def test_without_a_hub_the_store_is_looked_over_all_the_same(directory: Path) -> None:
    ran = llmhub(directory, "doctor", "--json", "--store", f"chdb://{directory / 'store'}")
    assert ran.code == 1
    found = {finding["check"]: finding for finding in json.loads(ran.out)}
    assert (found["readiness"]["state"], found["readiness"]["fix"]) == ("failed", "llmhub up")
    assert found["prices"]["state"] == "ok"
