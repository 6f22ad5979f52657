"""`llmhub prices` on a running hub and on none."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from collector.signals import Signal
from tests.collector.requests import call, traces
from tests.hub.conftest import StartHub
from tests.hub.process import Hub, llmhub, until
from tests.storage.test_overrides import price_list


def json_of(hub: Hub, *arguments: str) -> Any:
    ran = hub.command("prices", *arguments, "--json")
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def cost(hub: Hub, service: str) -> list[float | None]:
    rows = hub.query(f"SELECT cost FROM llm_calls WHERE service = '{service}' ORDER BY received_at").rows()
    return [row["cost"] for row in rows]


def send(hub: Hub, service: str, model: str = "gpt-4o") -> None:
    one = call(request__model=model, response__model=model)
    assert hub.post(Signal.TRACES, traces(one, service=service).SerializeToString()).status == 200


def test_prices_change_under_a_running_hub_and_outlast_it(start_hub: StartHub, tmp_path: Path) -> None:
    hub = start_hub({"storage.prices.resolve_seconds": "0.2"})
    send(hub, "before")
    (added,) = [
        hub.command("prices", "override", "--provider", "openai", "--model", "gpt-4o", "--input", "0", "--output", "0")
    ]
    assert (added.code, added.err) == (0, "")
    send(hub, "after")
    assert cost(hub, "before") != [0.0]
    assert cost(hub, "after") == [0.0]
    (override,) = json_of(hub, "list", "--overrides")
    (shown,) = [row for row in json_of(hub, "show", "gpt-4o", "--provider", "openai") if row["tier"] == ""]
    assert shown["prices"]["input_mtok"] == [0]
    assert shown["version"].endswith(f"override {override['id']}")
    hub.close()

    hub = start_hub()
    send(hub, "again")
    assert cost(hub, "again") == [0.0]
    json_of(hub, "override", "--remove", override["id"])
    (tmp_path / "data.json").write_text(price_list(input_mtok=1_000_000, output_mtok=0))
    json_of(hub, "refresh", "--file", str(tmp_path / "data.json"))
    send(hub, "fetched")
    assert cost(hub, "fetched") == [120.0]
    assert [row["price_id"] for row in json_of(hub, "list")] == ["openai/gpt-4o"]


def test_a_name_that_is_new_is_priced_while_the_hub_runs(start_hub: StartHub) -> None:
    hub = start_hub({"storage.prices.resolve_seconds": "0.2"})
    send(hub, "new", f"ft:gpt-4o-mini-2024-07-18:acme::{uuid.uuid4().hex}")
    until(lambda: cost(hub, "new") != [None])
    assert hub.metric("llmhub_prices_filled_in_total") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "remedy"),
    [
        (["show", "no-such-model"], 1, "llmhub prices override"),
        (["override", "--provider", "openai", "--model", "gpt-4o"], 1, "give a discount, or prices"),
        (["override", "--provider", "openai", "--model", "nonsense", "--discount", "0.1"], 1, "llmhub prices list"),
        (["override", "--provider", "openai", "--model", "gpt-4o", "--price", "x"], 1, "KEY=PRICE"),
        (["override", "--remove", "1234"], 1, "llmhub prices list --overrides"),
        (["refresh", "--url", "http://127.0.0.1:9/data.json"], 1, "give it with --file"),
        (["refresh", "--url", "file:///etc/passwd"], 1, "must start with https://"),
    ],
)
def test_what_cannot_be_done_names_what_can(directory: Path, arguments: list[str], code: int, remedy: str) -> None:
    ran = llmhub(directory, "--store", f"chdb://{directory / 'store'}", "prices", *arguments)
    assert (ran.code, remedy in ran.err) == (code, True), ran.err
