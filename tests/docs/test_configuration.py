"""docs/configuration.md and the settings that the README names are what the program accepts."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
import yaml

from llmhub.config import every_setting as settings
from llmhub.config import load
from storage import otlp_schema
from storage.endpoint import EndpointUser
from tests.docs.documents import DOCUMENTS, README, blocks, code, document, rows, section

ROWS = [row for row in rows(document("docs/configuration.md")) if row[0].startswith("`")]
FEW = rows(section(document("README.md"), "Run it for real"))
TABLE = {code(key): (code(default), meaning) for key, default, meaning in ROWS}


def test_every_key_stands_in_the_table_once() -> None:
    assert sorted(code(row[0]) for row in ROWS) == sorted(key for key, _ in settings())


@pytest.mark.parametrize("key", TABLE)
def test_the_default_is_the_one_that_config_show_prints(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    default, meaning = TABLE[key]
    assert os.path.expandvars(default) == json.dumps(dict(settings())[key])
    assert meaning


def test_the_settings_in_the_readme_have_the_same_defaults() -> None:
    assert FEW
    assert {code(key): code(default) for key, default, _ in FEW}.items() <= {
        key: TABLE[key][0] for key in TABLE
    }.items()


def test_the_fields_of_a_user_are_named() -> None:
    _, meaning = TABLE["storage.clickhouse_http.users"]
    usable = set(EndpointUser.__dataclass_fields__) - {"tenant"}  # which is always refused
    assert usable <= set(re.findall(r"`(\w+)`", meaning))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_yaml_examples_are_valid_configurations(path: Path, tmp_path: Path) -> None:
    for example in blocks(path.read_text(encoding="utf-8"), "yaml"):
        assert yaml.safe_load(example)
        (tmp_path / "hub.yaml").write_text(example, encoding="utf-8")
        load(tmp_path / "hub.yaml", {})


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_environment_variables_in_the_documents_are_settings(path: Path) -> None:
    known = {key.upper().replace(".", "__") for key, _ in settings()} | {"CONFIG"}
    mappings = tuple(f"{key.upper().replace('.', '__')}__" for key, default in settings() if isinstance(default, dict))
    named = set(re.findall(r"\bLLMHUB_([A-Z_]+)", path.read_text(encoding="utf-8")))
    assert {name for name in named if not name.startswith(mappings)} <= known


def test_the_limits_on_nesting_are_those_of_the_schema() -> None:
    text = " ".join(README.read_text(encoding="utf-8").split())
    assert f"{otlp_schema.NESTED_DEPTH} levels deep in span attributes" in text
    assert f"{otlp_schema.FLAT_DEPTH} level in resources" in text
    assert otlp_schema.DEEPER in text
    assert otlp_schema.BYTES in text
