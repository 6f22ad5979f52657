"""Who answers for a service: from a file, from asset events, and in the calls."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from collector.envelope import wrap
from collector.metrics import CollectorMetrics
from collector.registry import RegistryKeeper
from collector.signals import Signal
from storage import registry
from storage.embedded import EmbeddedStore
from storage.registry import RegistryError, RegistrySettings, Service
from tests.collector.direct import store_whole
from tests.collector.requests import call, logs, traces

NOW = 1_900_000_000_000_000_000

YAML = """
services:
  - service: checkout
    team: payments
    owner: ann@example.com
    cost_center: CC-7
    tier: production
    approved_models: [gpt-4o*, 'claude-sonnet-4?5']
  - service: search
    tenant: other
"""
CSV = """service,tenant,team,owner,cost_center,tier,approved_models
checkout,,payments,ann@example.com,CC-7,production,gpt-4o* claude-sonnet-4?5
search,other,,,,,
"""
SERVICES = [
    Service("checkout", "acme", "payments", "ann@example.com", "CC-7", "production", ("gpt-4o*", "claude-sonnet-4?5")),
    Service("search", "other"),
]


@pytest.fixture
def tenant() -> str:
    return f"registry-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def metrics() -> CollectorMetrics:
    return CollectorMetrics(CollectorRegistry())


@pytest.fixture
def file(tmp_path: Path, llm_store: EmbeddedStore) -> Iterator[Path]:
    """A registry file of the test's own; the store forgets it afterwards."""
    path = tmp_path / "services.yaml"
    yield path
    path.write_text("services: []")
    registry.load_file(llm_store, path, "default")


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def keeper(store: EmbeddedStore, metrics: CollectorMetrics, path: Path, tenant: str) -> RegistryKeeper:
    return RegistryKeeper(store, metrics, RegistrySettings(path=str(path)), tenant)


def send(store: EmbeddedStore, tenant: str, signal: Signal, request: Any) -> None:
    store_whole(
        store, [wrap(signal, tenant, request.SerializeToString(), request_id=uuid.uuid4().int >> 80, received_ns=NOW)]
    )


def asset(store: EmbeddedStore, tenant: str, **attributes: Any) -> None:
    given = {
        f"llm_hub.asset.{name}": value for name, value in {"type": "service", "change": "updated", **attributes}.items()
    }
    send(store, tenant, Signal.LOGS, logs("", given, event_name="llm_hub.asset.change"))


def entry(store: EmbeddedStore, tenant: str, service: str) -> dict[str, Any]:
    rows = store.rows(
        "SELECT team, owner, cost_center, tier, approved_models FROM llm_services WHERE tenant = {t:String} AND service = {s:String}",
        params={"t": tenant, "s": service},
    )
    return rows[0] if rows else {}


def teams(store: EmbeddedStore, tenant: str) -> list[str]:
    rows = store.rows("SELECT team FROM llm_calls WHERE tenant = {t:String} ORDER BY timestamp", params={"t": tenant})
    return [row["team"] for row in rows]


@pytest.mark.parametrize(("name", "text"), [("s.yaml", YAML), ("s.csv", CSV)])
def test_the_file_is_yaml_or_csv(tmp_path: Path, name: str, text: str) -> None:
    assert registry.read(write(tmp_path / name, text), "acme") == SERVICES


@pytest.mark.parametrize(
    ("name", "text", "line", "remedy"),
    [
        ("s.yaml", "services:\n  - service: a\n  - team: b\n", 3, "add service: and the service.name"),
        ("s.yaml", "services:\n  - {service: a, teem: b}\n", 2, "unknown key 'teem'; known are service, tenant"),
        ("s.yaml", "services:\n  - {service: a}\n  - {service: a}\n", 3, "in the file twice: remove one"),
        ("s.yaml", "services:\n  - {service: a, cost_center: 7}\n", 2, "cost_center must be a text; put 7 in quotes"),
        ("s.yaml", "services:\n  - {service: a, approved_models: gpt-4o}\n", 2, "a list of texts, such as [gpt-4o*"),
        ("s.yaml", "services:\n  - checkout\n", 2, "an entry is a mapping such as"),
        ("s.yaml", "services:\n  - {service: [a\n", 3, "it cannot be read as YAML"),
        ("s.yaml", "services:\n  - service: a\n    team: b\n    team: c\n", 4, "team stands here twice; write it once"),
        ("s.yaml", "checkout: payments\n", 1, "it must be one key 'services:'"),
        ("s.csv", "service,teem\na,b\n", 1, "unknown column 'teem'; the first line names the columns"),
        ("s.csv", "team\nb\n", 1, "there is no column 'service'"),
        ("s.csv", "service,team\na,b\nc,d,e\n", 3, "quote a cell that has a comma"),
        ("s.csv", "service,team\na,b\n,d\n", 3, "the entry has no service"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_a_remedy(
    tmp_path: Path, name: str, text: str, line: int, remedy: str
) -> None:
    path = write(tmp_path / name, text)
    with pytest.raises(RegistryError) as raised:
        registry.read(path, "acme")
    assert str(raised.value).startswith(f"{path}, line {line}: ")
    assert remedy in str(raised.value)


def test_a_file_that_is_not_there_is_told_with_the_setting(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"No such file or directory; see storage\.registry\.path"):
        registry.read(tmp_path / "s.yaml", "acme")


def test_the_team_of_a_call_is_its_own_or_that_of_the_registry(
    llm_store: EmbeddedStore, metrics: CollectorMetrics, file: Path, tenant: str
) -> None:
    kept = keeper(llm_store, metrics, write(file, "services:\n  - {service: shop, team: payments}\n"), tenant)
    kept.check()
    own = call(response__id="1")
    own.attributes.add(key="llm_hub.team").value.string_value = "growth"
    send(llm_store, tenant, Signal.TRACES, traces(own, service="shop"))
    send(llm_store, tenant, Signal.TRACES, traces(call(response__id="2"), service="shop"))
    send(llm_store, tenant, Signal.TRACES, traces(call(response__id="3"), service="unheard-of"))
    assert teams(llm_store, tenant) == ["growth", "payments", ""]


def test_the_file_is_read_again_when_it_changes(
    llm_store: EmbeddedStore, metrics: CollectorMetrics, file: Path, tenant: str
) -> None:
    kept = keeper(
        llm_store, metrics, write(file, "services:\n  - {service: a, team: x}\n  - {service: b, team: y}\n"), tenant
    )
    kept.check()
    write(file, "services:\n  - {service: a, team: other}\n")
    kept.check()
    assert entry(llm_store, tenant, "a")["team"] == "other"
    assert entry(llm_store, tenant, "b") == {}


def test_a_bad_file_leaves_the_last_good_registry_in_force(
    llm_store: EmbeddedStore, metrics: CollectorMetrics, file: Path, tenant: str, caplog: pytest.LogCaptureFixture
) -> None:
    kept = keeper(llm_store, metrics, write(file, "services:\n  - {service: a, team: x}\n"), tenant)
    kept.check()
    write(file, "services:\n  - {service: a, team: y}\n  - {team: z}\n")
    kept.check()
    kept.check()
    assert entry(llm_store, tenant, "a")["team"] == "x"
    assert metrics.registry_good._value.get() == 0
    assert metrics.registry_loads.labels("failed")._value.get() == 1
    assert "line 3: the entry has no service" in caplog.records[-1].error  # type: ignore[attr-defined]
    write(file, "services:\n  - {service: a, team: y}\n")
    kept.check()
    assert entry(llm_store, tenant, "a")["team"] == "y"
    assert metrics.registry_good._value.get() == 1


def test_asset_events_fill_what_the_file_leaves_open(
    llm_store: EmbeddedStore, metrics: CollectorMetrics, file: Path, tenant: str
) -> None:
    kept = keeper(llm_store, metrics, write(file, "services:\n  - {service: shop, team: payments}\n"), tenant)
    kept.check()
    asset(llm_store, tenant, id="shop", team="old", owner="ann", approved_models=["gpt-4o*", "o3"])
    asset(llm_store, tenant, id="shop", owner="bob", cost_center="CC-1", tier="production")
    kept.check()
    assert entry(llm_store, tenant, "shop") == {
        "team": "payments",
        "owner": "bob",
        "cost_center": "CC-1",
        "tier": "production",
        "approved_models": ["gpt-4o*", "o3"],
    }
    asset(llm_store, tenant, id="shop", change="retired")
    write(file, "services: []\n")
    kept.check()
    assert entry(llm_store, tenant, "shop") == {}


def test_calls_know_owner_cost_center_and_tier_and_whether_their_model_is_approved(
    llm_store: EmbeddedStore, metrics: CollectorMetrics, file: Path, tenant: str
) -> None:
    text = "services:\n  - {service: shop, owner: ann, cost_center: CC-7, tier: production, approved_models: [GPT-4o-mini*, 'o_?']}\n"
    keeper(llm_store, metrics, write(file, text), tenant).check()
    models = ("gpt-4o-mini-2024-07-18", "gpt-4o", "o_3", "o13")
    spans = [call(request__model=model, response__model=model, response__id=model) for model in models]
    send(llm_store, tenant, Signal.TRACES, traces(*spans, service="shop"))
    send(llm_store, tenant, Signal.TRACES, traces(call(response__id="x"), service="free"))
    rows = llm_store.rows(
        "SELECT service, model, owner, cost_center, tier, is_approved, total_tokens FROM llm_calls_enriched WHERE tenant = {t:String}",
        params={"t": tenant},
    )
    assert {(row["service"], row["model"]): row["is_approved"] for row in rows} == {
        ("shop", "gpt-4o-mini-2024-07-18"): 1,
        ("shop", "gpt-4o"): 0,
        ("shop", "o_3"): 1,
        ("shop", "o13"): 0,
        ("free", "gpt-4o-mini-2024-07-18"): 1,
    }
    assert {(row["owner"], row["cost_center"], row["tier"]) for row in rows if row["service"] == "shop"} == {
        ("ann", "CC-7", "production")
    }
    assert {row["total_tokens"] for row in rows} == {162}
    found = llm_store.rows(
        "SELECT service, owner, model, calls, sample_trace_id FROM llm_unapproved_models WHERE tenant = {t:String} ORDER BY model",
        params={"t": tenant},
    )
    assert [(row["owner"], row["model"], row["calls"]) for row in found] == [("ann", "gpt-4o", 1), ("ann", "o13", 1)]
    assert found[0]["sample_trace_id"] == spans[1].trace_id.hex()
