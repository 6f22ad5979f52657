"""The engine's deduplication logs, made to agree with the parts that are there.

An insert into a MergeTree table notes its deduplication token first and renames the new part into place then. A process
that dies in between leaves a note on a part that does not exist, and the same insert, replayed, would be skipped as a
repetition: its rows would be lost. The order is ClickHouse's, see MergeTreeSink.cpp and MergeTreeDeduplicationLog.cpp.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from storage.parts import Part, parts_of

log = logging.getLogger(__name__)

_LOGS = "deduplication_logs"
_ADDED = "1"
# What a loss of power has left of a line, zeros mostly, would keep the engine from reading those behind it.
_LINE = re.compile(r"\d+\t[^\t\0]+\t[^\t\0]+\n")


def forget_missing_parts(directory: Path) -> int:
    """Remove the notes on parts that do not exist from the logs of every table of the embedded store in `directory`.
    Returns their number. The engine must not be running there. Raises OSError."""
    forgotten = sum(_correct(path) for path in sorted(directory.glob(f"store/*/*/{_LOGS}/*.txt")))
    if forgotten:
        log.warning("an insert was cut off before its last step; it can be repeated", extra={"parts": forgotten})
    return forgotten


def _correct(path: Path) -> int:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    if not lines:
        return 0
    table = path.parent.parent
    parts = list(parts_of(table).values())
    kept = [line for line in lines if _LINE.fullmatch(line) and not _is_missing(line, parts)]
    if len(kept) < len(lines):
        draft = table / f"tmp_{path.name}"  # of such names the engine takes no notice
        draft.write_text("".join(kept), encoding="utf-8")
        os.replace(draft, path)
    return len(lines) - len(kept)


def _is_missing(line: str, parts: list[Part]) -> bool:
    operation, _, rest = line.partition("\t")
    part = Part.parse(rest.partition("\t")[0])
    return operation == _ADDED and part is not None and not any(each.covers(part) for each in parts)
