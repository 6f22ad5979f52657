"""Which parts of the embedded store are known to be on its disk, and the way back to them after a loss of power.

The engine does not sync what it writes. After a loss of power a part may be there without the note of its deduplication
token, or the note without the part, or a part with empty files. So the parts are noted whenever they have been flushed. When
the machine has been started anew, all others are set aside before the engine looks. What was in them is inserted again from the spool,
which keeps everything until it has been flushed.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from storage.boot import boot_id
from storage.disk import fsync_directory
from storage.parts import Part, parts_of, tables

log = logging.getLogger(__name__)

FILE = "checkpoint.json"
_ASIDE = "detached"
_LOOKS = 10


@dataclass(frozen=True)
class Checkpoint:
    """`parts` has the names of those that were flushed, by table: the path of its directory in the store."""

    boot_id: str
    parts: dict[str, list[str]]


def take(directory: Path, flush: Callable[[], None]) -> None:
    """Have what the engine has written flushed, unless it is noted already, and note it. One thread at a time. Raises OSError,
    and what `flush` does."""
    found = Checkpoint(boot_id(), _settled_parts(directory))
    if found != _read(directory):
        flush()
        _write(directory, found)


def restore(directory: Path) -> int:
    """After a start of the machine, set aside what the last checkpoint does not name, into `detached` beside it; returns the
    number of parts. The engine must not be running there. Raises OSError."""
    noted = _read(directory)
    if noted is None or noted.boot_id == boot_id():
        return 0
    aside = [
        path
        for table in tables(directory)
        for path in _unknown(table, set(noted.parts.get(_name(table, directory), ())))
    ]
    for path in aside:
        (path.parent / _ASIDE).mkdir(exist_ok=True)
        path.rename(_free_name(path.parent / _ASIDE / f"unflushed_{path.name}"))
    if aside:
        log.warning("set aside parts that may not have reached the disk before the machine stopped; what the hub has acknowledged is inserted again", extra={"parts": len(aside)})  # fmt: skip
    return len(aside)


def _unknown(table: Path, noted: set[str]) -> list[Path]:
    """Its parts that are not noted. One that has taken the place of a noted part, which is gone, stays."""
    there = parts_of(table)
    kept = [part for name, part in there.items() if name in noted]
    replaced = [part for name in noted if (part := Part.parse(name)) and not any(each.covers(part) for each in kept)]
    return [
        table / name
        for name, part in there.items()
        if name not in noted and not any(part.covers(each) for each in replaced)
    ]


def _settled_parts(directory: Path) -> dict[str, list[str]]:
    """The parts of one moment: what is written one after the other must not be noted the other way round."""
    found = _parts(directory)
    for _ in range(_LOOKS):
        before, found = found, _parts(directory)
        if found == before:
            break
    return found


def _parts(directory: Path) -> dict[str, list[str]]:
    return {_name(table, directory): names for table in tables(directory) if (names := sorted(parts_of(table)))}


def _name(table: Path, directory: Path) -> str:
    return str(table.relative_to(directory))


def _free_name(path: Path) -> Path:
    number, free = 0, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}_{number}")
    return free


def _read(directory: Path) -> Checkpoint | None:
    try:
        return Checkpoint(**json.loads((directory / FILE).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):  # nothing can be told, and the next one is in its place soon
        return None


def _write(directory: Path, checkpoint: Checkpoint) -> None:
    """Complete or not at all."""
    draft = directory / f"{FILE}.new"
    with draft.open("w", encoding="utf-8") as file:
        json.dump(asdict(checkpoint), file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(directory / FILE)
    fsync_directory(directory)
