"""`llmhub map test`: what the alias table makes of recorded requests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from llmhub.console import JsonOption, Table, failures, load, out, print_json, printable, say, show, tell
from llmhub.explain import CALLS, UNMAPPED, Explained, Explanation, explain
from receivers.files import FORMATS

map_app = typer.Typer(no_args_is_help=True, help="The alias table: which attributes mean what.")

_SHOWN_CHARACTERS = 80
# What a name that nobody knows probably means, the surest first.
_GUESSES = (
    (
        "output_tokens",
        r"(?:output|completion|response|generated|\bout\b).*tokens?|tokens?\W*(?:output|completion|out\b)",
    ),
    ("input_tokens", r"(?:input|prompt|request|\bin\b).*tokens?|tokens?\W*(?:input|prompt|in\b)"),
    ("response_model", r"(?:response|actual|used).*model"),
    ("request_model", r"model(?:[._-]?(?:name|id))?$"),
    ("operation", r"operation|kind|\btype$"),
)
_NEEDED = ("request_model", "input_tokens", "output_tokens")


@map_app.command("test")
def try_out(
    context: typer.Context,
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="As `llmhub ingest` takes them.")],
    tenant: Annotated[
        str, typer.Option("--tenant", help="With the aliases of this tenant; default: receivers.tenant.")
    ] = "",
    fmt: Annotated[str, typer.Option("--format", help="What they are, whatever their names.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Show what becomes of recorded OTLP requests: the rows, which attribute won, and what stays unmapped. Nothing is stored.

    Exit code 1 when something looks like a model call and is not understood.

    Example: llmhub map test traces.pb --tenant acme
    """
    config = load(context)
    if fmt and fmt not in FORMATS:
        raise typer.BadParameter(f"--format must be one of {', '.join(FORMATS)}, not {fmt!r}")
    # The process does not stay where it was started.
    paths = [Path(name) if name == "-" else Path(name).absolute() for name in files]
    with failures():
        found = explain(config, paths, fmt, tenant or config.receivers.tenant)
    if as_json:
        print_json(
            {"records": [asdict(each) for each in found.records], "problems": found.problems, "add": suggestions(found)}
        )
    else:
        _show(found)
    for problem in found.problems:
        say(problem)
    if found.unmapped or found.problems:
        raise typer.Exit(1)


def suggestions(found: Explanation) -> dict[str, list[dict[str, str]]]:
    """Lines of the configuration that would map what is unmapped, guessed from the names of attributes."""
    aliases = {(slot, key): {"slot": slot, "key": key} for record in found.unmapped for slot, key in _guessed(record)}
    return {"aliases": [*aliases.values()]}


def _guessed(record: Explained) -> Iterator[tuple[str, str]]:
    filled = {slot.slot for slot in record.slots if slot.key}
    for key in record.unmapped_keys:
        slot = next((slot for slot, pattern in _GUESSES if re.search(pattern, key, re.IGNORECASE)), "")
        if slot and slot not in filled:
            filled.add(slot)
            yield slot, key


def _show(found: Explanation) -> None:
    for record in found.records:
        _show_record(record)
    calls = sum(record.table == "llm_calls" for record in found.records)
    rows = {table: sum(record.table == table for record in found.records) for table in ("llm_steps", "llm_events")}
    tell(
        f"{len(found.records)} records: {calls} calls, {rows['llm_steps']} steps, {rows['llm_events']} events, "
        f"{len(found.unmapped)} unmapped"
    )
    for line in _advice(found):
        tell(line)


def _show_record(record: Explained) -> None:
    out.rule(Text.assemble(f"{record.kind} ", (printable(record.name), "bold")), align="left")
    tell(f"{_outcome(record)}; scope {record.scope or '-'}, service {record.service or '-'}")
    if record.row:
        table = Table("column", "value", wraps=["value"])
        for name, value in record.row.items():
            table.add_texts(name, _short(value))
        show(table)
    if record.slots:
        table = Table("slot", "filled by", "not needed or empty", wraps=["not needed or empty"])
        for slot in record.slots:
            table.add_texts(slot.slot, slot.key or "-", ", ".join(slot.lost))
        show(table)
    for name, keys in (("unmapped", record.unmapped_keys), ("content", record.content_keys)):
        if keys:
            tell(f"{name}: {', '.join(keys)}")


def _outcome(record: Explained) -> str:
    if record.role == UNMAPPED:
        return "UNMAPPED: looks like a model call, but nothing says so"
    if record.table:
        return f"role {record.role} -> {record.table}" if record.role else f"-> {record.table}"
    if record.role in CALLS:
        return f"role {record.role}: another record reports the same call"
    return "no model call and no step: stored as it is"


def _advice(found: Explanation) -> list[str]:
    if not found.unmapped:
        return []
    lines = suggestions(found)["aliases"]
    if not lines:
        names = ", ".join(_NEEDED)
        return [
            f"to map them, add to the configuration which attributes fill {names}: storage.aliases, as {{slot: ..., key: ...}}"
        ]
    return [
        "to map them, add to the configuration, correct what is guessed wrongly, and test again:",
        "storage:",
        "  aliases:",
        *(f"    - {{slot: {line['slot']}, key: {json.dumps(line['key'])}}}" for line in lines),
    ]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
