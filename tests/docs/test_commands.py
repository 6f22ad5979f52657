"""Every command is documented, and every documented command line is one that the program understands."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from llmhub.cli import _global_options_first, app
from tests.docs.documents import DOCUMENTS, blocks, command_lines, document, rows, section

ROOT_COMMAND: Any = typer.main.get_command(app)
LINES = {
    f"{path.name}: {' '.join(arguments)[:60]}": arguments
    for path in DOCUMENTS
    for arguments in command_lines(path.read_text(encoding="utf-8"), "llmhub")
}


def commands(group: Any, prefix: str = "llmhub") -> Iterator[str]:
    for name, command in group.commands.items():
        path = f"{prefix} {name}"
        if hasattr(command, "commands"):
            yield from commands(command, path)
        else:
            yield path


def parse(arguments: list[str]) -> list[str]:
    """The path of the command that `arguments` call; raises the parser's own error. Runs nothing."""
    context = ROOT_COMMAND.make_context("llmhub", _global_options_first(arguments))
    path: list[str] = []
    while hasattr(context.command, "commands"):
        left = [*context._protected_args, *context.args]
        name, command, left = context.command.resolve_command(context, left)
        context = command.make_context(name, left, parent=context)
        path.append(name)
    return path


def test_the_command_table_is_the_command_line() -> None:
    table = rows(section(document("docs/operations.md"), "Commands"))
    assert sorted(row[0].strip("`") for row in table) == sorted(commands(ROOT_COMMAND))
    assert all(row[1] for row in table)


def test_every_command_has_an_example() -> None:
    assert set(commands(ROOT_COMMAND)) <= {called(arguments) for arguments in LINES.values()}


@pytest.mark.parametrize("line", LINES)
def test_a_documented_command_line_parses(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _touch_files(LINES[line])
    assert parse(LINES[line])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_shell_examples_are_shell(path: Path) -> None:
    shell = shutil.which("bash") or "/bin/sh"
    for block in blocks(path.read_text(encoding="utf-8"), "sh"):
        done = subprocess.run([shell, "-n"], input=block, capture_output=True, text=True)
        assert done.returncode == 0, f"{block}\n{done.stderr}"


def test_an_unknown_option_would_be_noticed() -> None:
    with pytest.raises(Exception, match="No such option"):
        parse(["demo", "--day", "1"])


def called(arguments: list[str]) -> str:
    """The command that a line calls, found without parsing its options."""
    command, path = ROOT_COMMAND, "llmhub"
    for word in _global_options_first(arguments):
        if word in getattr(command, "commands", {}):
            command, path = command.commands[word], f"{path} {word}"
    return path


def _touch_files(arguments: list[str]) -> None:
    """Files must exist to be accepted as arguments."""
    for word in arguments:
        if word.endswith((".pb", ".gz", ".zst", ".json", ".jsonl", ".csv")) and not Path(word).is_absolute():
            Path(word).touch()
