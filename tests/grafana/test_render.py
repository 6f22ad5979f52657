from pathlib import Path

import pytest
import yaml

from grafana.compile import compiled
from grafana.render import RenderSettings, render


def _tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()
    }


def test_writes_the_tree_and_names_what_it_wrote(tmp_path: Path) -> None:
    written = render(tmp_path / "new", RenderSettings())
    assert [str(path.relative_to(tmp_path / "new")) for path in written] == [
        "provisioning/datasources/llm-analytics.yaml",
        "provisioning/dashboards/llm-analytics.yaml",
        "dashboards/llm-overview.json",
        "dashboards/llm-gaps.json",
    ]
    assert set(_tree(tmp_path / "new")) == {str(path.relative_to(tmp_path / "new")) for path in written}


def test_equal_settings_give_equal_bytes_again_and_elsewhere(tmp_path: Path) -> None:
    settings = RenderSettings(host="hub", username="reader")
    render(tmp_path / "a", settings)
    render(tmp_path / "b", settings)
    first = _tree(tmp_path / "a")
    render(tmp_path / "a", settings)
    assert first == _tree(tmp_path / "a") == _tree(tmp_path / "b")


def test_the_data_source_is_the_hubs_clickhouse_interface(tmp_path: Path) -> None:
    settings = RenderSettings(
        host="hub", port=8124, secure=True, username="reader", password_env="CH_PASSWORD", uid="mine"
    )
    path, *_ = render(tmp_path, settings)
    (source,) = yaml.safe_load(path.read_text(encoding="utf-8"))["datasources"]
    assert (source["type"], source["uid"], source["access"]) == ("grafana-clickhouse-datasource", "mine", "proxy")
    connection = source["jsonData"]
    assert (connection["host"], connection["port"], connection["protocol"]) == ("hub", 8124, "http")
    assert (connection["secure"], connection["username"], connection["defaultDatabase"]) == (True, "reader", "llm")
    assert "url" not in source
    assert "database" not in source
    assert "enableRowLimit" not in connection


def test_the_password_stays_in_the_environment_and_other_dollars_are_literal(tmp_path: Path) -> None:
    path, *_ = render(tmp_path, RenderSettings(username="a$b", password_env="CH_PASSWORD"))
    (source,) = yaml.safe_load(path.read_text(encoding="utf-8"))["datasources"]
    assert source["secureJsonData"] == {"password": "$CH_PASSWORD"}
    assert source["jsonData"]["username"] == "a$$b"


def test_the_provider_points_at_the_dashboards(tmp_path: Path) -> None:
    _, path, *_ = render(tmp_path, RenderSettings(dashboards_path="/llm/dashboards"))
    (provider,) = yaml.safe_load(path.read_text(encoding="utf-8"))["providers"]
    assert provider["options"]["path"] == "/llm/dashboards"
    assert (provider["folder"], provider["folderUid"], provider["type"]) == ("LLM Analytics", "llm-analytics", "file")


def test_dashboards_start_on_the_rendered_data_source(tmp_path: Path) -> None:
    _, _, *paths = render(tmp_path, RenderSettings(uid="mine"))
    assert {path.name: path.read_text(encoding="utf-8") for path in paths} == dict(compiled("mine"))
    assert all('"value": "mine"' in path.read_text(encoding="utf-8") for path in paths)


@pytest.mark.parametrize(
    ("field", "value"),
    [("host", ""), ("port", 0), ("port", 65536), ("uid", "a b"), ("uid", "x" * 41), ("password_env", "a-b")],
)
def test_refuses_what_grafana_would_refuse(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        RenderSettings(**{field: value})  # type: ignore[arg-type]
