"""Small parts of the command line; the commands themselves are tried in tests/hub."""

from __future__ import annotations

import pytest

from llmhub.cli import _global_options_first, _without_password


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        (["query", "SELECT 1", "--store", "chdb:///a"], ["--store", "chdb:///a", "query", "SELECT 1"]),
        (["query", "--store=chdb:///a", "SELECT 1"], ["--store=chdb:///a", "query", "SELECT 1"]),
        (["--config", "a", "up", "--store", "b"], ["--config", "a", "--store", "b", "up"]),
        (["up", "--store"], ["--store", "up"]),
        (["query", "--", "--store"], ["query", "--", "--store"]),
        (["query", "--storey", "x"], ["query", "--storey", "x"]),
        ([], []),
    ],
)
def test_global_options_may_stand_anywhere(given: list[str], ordered: list[str]) -> None:
    assert _global_options_first(given) == ordered


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("chdb:///var/lib/llmhub", "chdb:///var/lib/llmhub"),
        ("clickhouse://me:p:w@d@host:8123/llm", "clickhouse://me@host:8123/llm"),
        ("clickhouse://me@host/llm", "clickhouse://me@host/llm"),
        ("clickhouse://host/llm?secure=1", "clickhouse://host/llm?secure=1"),
    ],
)
def test_a_password_is_not_shown(dsn: str, shown: str) -> None:
    assert _without_password(dsn) == shown
