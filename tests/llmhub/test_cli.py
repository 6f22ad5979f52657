"""Small parts of the command line; the commands themselves are tried in tests/hub."""

from __future__ import annotations

import io
import logging
import sys
import tempfile
from pathlib import Path

import pytest
from rich.console import Console

from llmhub import cli
from llmhub.cli import _global_options_first, _without_password
from llmhub.console import Table, show, tell


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


def shown(table: Table, *, terminal: bool, width: int = 60) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, no_color=True)
    show(table, console)
    assert isinstance(console.file, io.StringIO)
    return [line.strip() for line in console.file.getvalue().splitlines() if line.strip()]


def letters() -> Table:
    table = Table("id", "received", "reason", wraps=["reason"])
    table.add_texts("3418649373342406977", "2026-11-29 16:41:45.531", "trace_id is not 16 non-zero bytes")
    table.add_texts("1", "[/red]", "\x1b]0;stolen\x07")
    return table


def test_where_no_terminal_is_a_row_of_a_table_is_a_line() -> None:
    lines = shown(letters(), terminal=False, width=20)
    assert "3418649373342406977  2026-11-29 16:41:45.531  trace_id is not 16 non-zero bytes" in lines


def test_on_a_narrow_terminal_only_texts_are_broken_over_lines() -> None:
    lines = shown(letters(), terminal=True)
    assert lines[2].split("  ")[:2] == ["3418649373342406977", "2026-11-29 16:41:45.531"]
    assert len(lines) > 4


def test_what_senders_write_is_neither_markup_nor_does_it_steer_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "1                    [/red]                   ?]0;stolen?" in shown(letters(), terminal=False)
    tell("\x1b[2J[/red]\nx")
    assert capsys.readouterr().out == "?[2J[/red]\nx\n"


def test_a_defect_is_told_in_a_line_with_a_file_for_who_looks_into_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def broken(args: object) -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr(cli, "app", broken)
    monkeypatch.setattr(sys, "argv", ["llmhub", "status"])
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    (report,) = tmp_path.iterdir()
    said = capsys.readouterr().err
    assert said == f"llmhub: a defect of the hub: ZeroDivisionError: surprise. Please report it, with {report}\n"
    assert "in broken" in report.read_text()
