"""`llmhub spool`: what waits on disk, and what to do when the disk has spoilt it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from collector.assembly import key_file
from collector.spool import open_key
from collector.spool.recovery import settled_in
from collector.spool.repair import Loss, repair
from collector.spool.segment import SUFFIX, scan
from llmhub.console import JsonOption, Table, failures, load, print_json, say, show, tell

spool_app = typer.Typer(no_args_is_help=True, help="The spool: batches on disk that are not in the store yet.")


@spool_app.command("status")
def spool_status(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the files of the spool and check every byte of them. The hub may run; it needs no key.

    Exit code 1 when something is damaged.
    """
    directory = load(context).spool_directory
    with failures():
        # Those of workers and of `llmhub ingest` are below.
        rows = [row for path in sorted(directory.rglob(f"*{SUFFIX}")) if (row := _segment(path, directory)) is not None]
    if as_json:
        print_json({"directory": str(directory), "files": rows})
    else:
        _show(directory, rows)
    if any(row["damaged_bytes"] for row in rows):
        say("llmhub: the spool is damaged: stop the hub and run `llmhub spool repair`")
        raise typer.Exit(1)


@spool_app.command("repair")
def spool_repair(
    context: typer.Context, as_json: JsonOption = False, directory: Annotated[Path | None, typer.Option(help="The spool's directory, if not the configured one.", resolve_path=True)] = None
) -> None:  # fmt: skip
    """Rewrite damaged files of the spool with what can be read; says what is gone. The hub must not run.

    Example: llmhub spool repair --config hub.yaml
    """
    settings = load(context)
    root = settings.spool_directory
    with failures():
        paths = [directory] if directory else sorted({root, *(file.parent for file in root.rglob(f"*{SUFFIX}"))})
        key = key_file(settings.collector.spool, settings.spool_directory)
        if not key.exists():
            say(f"llmhub: collector.spool.key_file: there is no key in {key}, and without it the spool cannot be read")
            raise typer.Exit(1)
        losses = [loss for path in paths for loss in repair(path, open_key(key))]
    if as_json:
        print_json([_as_json(loss) for loss in losses])
    for line in [] if as_json else _told(directory or root, losses):
        tell(line)


def _segment(path: Path, directory: Path) -> dict[str, Any] | None:
    """None when the hub has removed the file meanwhile. The end of the last file may be a record that is being written."""
    try:
        found = scan(path)
        settled = {record.sequence for record, request_ids in settled_in(path) if not request_ids}
    except FileNotFoundError:
        return None
    waiting = [record for record in found.records if record.sequence not in settled]
    return {
        "file": str(path.relative_to(directory)),
        "bytes": found.size,
        "records": len(found.records),
        "waiting": len(waiting),
        "waiting_bytes": sum(record.length for record in waiting),
        "oldest_seconds": round(time.time() - waiting[0].time_ms / 1000, 1) if waiting else 0.0,
        "damaged_bytes": sum(end - start for start, end in found.damaged) + (found.size if found.header is None else 0),
        "torn_bytes": found.torn_bytes,
    }


def _show(directory: Path, rows: list[dict[str, Any]]) -> None:
    if not rows:
        tell(f"there is no spool in {directory}")
        return
    table = Table("file", "bytes", "records", "waiting", "bytes of these", "oldest, s", "damaged bytes", "torn bytes")
    for row in rows:
        table.add_texts(*map(str, row.values()))
    show(table)


def _as_json(loss: Loss) -> dict[str, Any]:
    return {
        "file": str(loss.path),
        "damaged": loss.damaged,
        "records": loss.records,
        "stored": loss.stored,
        "request_ids": loss.request_ids,
        "open_end": loss.open_end,
    }


def _told(directory: Path, losses: list[Loss]) -> list[str]:
    lines = [line for loss in losses for line in _lines(loss)]
    return [*lines, f"{directory} is whole" if not losses else f"{directory} is whole again: start the hub"]


def _lines(loss: Loss) -> list[str]:
    size = sum(end - start for start, end in loss.damaged)
    lines = [f"{loss.path}: {size} damaged bytes are in {loss.path.with_suffix('.damaged').name} now"]
    if loss.records:
        ids = ", ".join(f"{first} to {last}" for first, last in loss.request_ids)
        lines.append(
            f"  gone: records {', '.join(map(str, loss.records))}, {loss.requests} requests"
            + (f", ids {ids}" if ids else "")
        )
    if loss.stored:
        lines.append(f"  of these records the store has {', '.join(map(str, loss.stored))}: nothing of them is lost")
    if loss.open_end:
        lines.append("  there may have been more at the end: compare `llmhub status` with what your senders know")
    return lines
