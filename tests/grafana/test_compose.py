"""docker-compose.yaml fits the hub, the image and the rendered tree."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.model import PLUGIN, PLUGIN_VERSION
from grafana.render import RenderSettings, render
from llmhub import config

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.checkout


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file with `${NAME:-default}` replaced by its default, as Compose does for an empty environment."""
    text = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text))
    return content


def test_every_port_is_on_loopback(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert {port.rpartition(":")[2] for port in ports} == {"3000", "4317", "4318", "8080", "8123"}
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_volume_is_declared_and_the_other_way_round(compose: dict[str, Any]) -> None:
    mounted = {volume.split(":")[0] for service in compose["services"].values() for volume in service["volumes"]}
    assert mounted == set(compose["volumes"])


def test_the_hub_can_write_where_volumes_are_mounted(compose: dict[str, Any]) -> None:
    made = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for name in ("hub", "provisioning"):
        (volume,) = compose["services"][name]["volumes"]
        assert f" {volume.split(':')[1]}" in made.split("install -d -o hub -g hub")[1].splitlines()[0]


def test_the_hub_accepts_its_environment_and_grafana_may_log_in(compose: dict[str, Any]) -> None:
    settings = config.load(environment=compose["services"]["hub"]["environment"])
    http = settings.storage.clickhouse_http
    listeners = (settings.receivers.otlp_grpc, settings.receivers.otlp_http, settings.api, http)
    assert [each.listen for each in listeners] == [f"0.0.0.0:{port}" for port in (4317, 4318, 8080, 8123)]
    password = compose["services"]["grafana"]["environment"][RenderSettings().password_env]
    command = compose["services"]["provisioning"]["command"]
    user = http.authenticate(command[command.index("--username") + 1], password)
    assert user is not None
    assert user.readonly


def test_grafana_finds_the_plugin_the_tree_and_the_dashboard(compose: dict[str, Any], tmp_path: Path) -> None:
    environment = compose["services"]["grafana"]["environment"]
    command = compose["services"]["provisioning"]["command"]
    dashboards_path = command[command.index("--dashboards-path") + 1]
    paths = {f"/grafana/{path.relative_to(tmp_path)}" for path in render(tmp_path, RenderSettings())}
    assert command[-1] == "/grafana"
    assert environment["GF_PLUGINS_PREINSTALL_SYNC"] == f"{PLUGIN}@{PLUGIN_VERSION}"
    assert environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] in paths
    assert any(path.startswith(dashboards_path + "/") for path in paths)
    assert any(path.startswith(environment["GF_PATHS_PROVISIONING"] + "/datasources/") for path in paths)
