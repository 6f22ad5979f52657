"""`llmhub dlq`: what could not be stored, and what becomes of it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, TaskProgressColumn, TextColumn

from collector.replay import Outcome
from collector.signals import Signal
from llmhub.console import JsonOption, Table, failures, load, out, print_json, progress, say, show, tell
from llmhub.control import ControlClient
from llmhub.control_app import REPLAY_MOST
from llmhub.letter import readable
from llmhub.operate import with_hub

dlq_app = typer.Typer(
    no_args_is_help=True, help="Dead letters: what could not be stored. Through the running hub if there is one."
)

_FINE = (Outcome.REPLAYED, Outcome.ALREADY)
IdsArgument = Annotated[list[int] | None, typer.Argument(metavar="ID", help="As `llmhub dlq list` shows them.")]


@dlq_app.command("list")
def list_letters(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="Show so many, the newest first.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """Show the newest dead letters, without their content.

    Example: llmhub dlq list --limit 20
    """
    with failures():
        rows = with_hub(load(context), lambda hub: hub.get(f"/dlq?limit={limit}"))
    if as_json:
        print_json([_with_text_id(row) for row in rows])
        return
    if not rows:
        tell("there are no dead letters")
        return
    table = Table("id", "received", "tenant", "signal", "records", "bytes", "replayed", "reason", wraps=["reason"])
    for row in rows:
        replayed = "yes" if row["replayed"] else ""
        cells = (
            row["request_id"],
            row["received_at"],
            row["tenant"],
            row["signal"],
            row["records"] or "?",
            row["size"],
        )
        table.add_texts(*map(str, cells), replayed, row["reason"])
    show(table)


@dlq_app.command("show")
def show_letter(
    context: typer.Context,
    request_id: Annotated[int, typer.Argument(metavar="ID")],
    raw: Annotated[
        Path | None, typer.Option("--raw", metavar="FILE", resolve_path=True, help="Write the bytes to FILE.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Decrypt a dead letter and show it as OTLP JSON or, when it cannot be parsed, where it breaks.

    Example: llmhub dlq show 1234 --raw request.traces.pb
    """
    with failures():
        letter = with_hub(load(context), lambda hub: hub.get(f"/dlq/{request_id}"))
        body = base64.b64decode(letter.pop("body"))
        if raw is not None:
            raw.write_bytes(body)
    letter["received"] = datetime.fromtimestamp(letter.pop("received_ns") / 1e9, UTC).isoformat(timespec="milliseconds")
    content = readable(Signal(letter["signal"]), body)
    if as_json:
        print_json(_with_text_id({**letter, **content}))
        return
    for name, value in letter.items():
        tell(f"{name:<11} {value}")
    if "request" in content:
        out.print_json(data=content["request"])
    else:
        tell(f"{'broken':<11} {content['broken']}")
        tell(content["dump"])


@dlq_app.command("replay")
def replay_letters(
    context: typer.Context,
    request_ids: IdsArgument = None,
    every: Annotated[bool, typer.Option("--all", help="All that were not replayed yet.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Send dead letters through the pipeline again. What is stored already is not stored twice.

    Example: llmhub dlq replay --all
    """
    _check_choice(bool(request_ids), every, "--all")
    with failures():
        done = with_hub(load(context), lambda hub: list(_replay(hub, request_ids or [])))
    if as_json:
        print_json([_with_text_id(each) for each in done])
    else:
        for each in done:
            detail = f": {each['detail']}" if each["detail"] else ""
            (tell if each["outcome"] in _FINE else say)(f"{each['request_id']} {each['outcome']}{detail}")
        tell(f"{sum(each['outcome'] in _FINE for each in done)} of {len(done)} dead letters are stored")
    if any(each["outcome"] not in _FINE for each in done):
        raise typer.Exit(1)


@dlq_app.command("purge")
def purge_letters(
    context: typer.Context,
    request_ids: IdsArgument = None,
    older_than: Annotated[
        float | None, typer.Option("--older-than", metavar="DAYS", min=0, help="Those received longer ago.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Remove dead letters for good.

    Example: llmhub dlq purge --older-than 7
    """
    _check_choice(bool(request_ids), older_than is not None, "--older-than")

    def purge(hub: ControlClient) -> int:
        ids = request_ids or hub.get(f"/dlq/older?days={older_than}")
        return int(hub.post("/dlq/purge", ids))

    with failures():
        purged = with_hub(load(context), purge)
    if as_json:
        print_json({"purged": purged})
    else:
        tell(f"{purged} dead letters removed")


def _with_text_id(row: dict[str, Any]) -> dict[str, Any]:
    """The id is beyond what JSON readers with floating-point numbers can tell apart."""
    return {**row, "request_id": str(row["request_id"])}


def _check_choice(ids: bool, option: bool, name: str) -> None:
    if ids == option:
        say(f"llmhub: give the ids of dead letters, or {name}")
        raise typer.Exit(2)


def _replay(hub: ControlClient, request_ids: list[int]) -> Iterator[dict[str, Any]]:
    ids = request_ids or hub.get("/dlq/replayable")
    with progress(TextColumn("replaying"), BarColumn(), TaskProgressColumn()) as bar:
        for part in bar.track(list(_parts(ids))):
            yield from hub.post("/dlq/replay", part)


def _parts(ids: list[int]) -> Iterable[list[int]]:
    return (ids[start : start + REPLAY_MOST] for start in range(0, len(ids), REPLAY_MOST))
