"""The engine's deduplication logs, made to agree with the parts that are there.

An insert into a MergeTree table notes its deduplication token first and renames the new part into place then. A process
that dies in between leaves a note on a part that does not exist, and the same insert, replayed, would be skipped as a
repetition: its rows would be lost. The order is ClickHouse's, see MergeTreeSink.cpp and MergeTreeDeduplicationLog.cpp.
"""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

_LOGS = "deduplication_logs"
_ADDED = "1"
# https://clickhouse.com/docs/operations/system-tables/parts: partition, first and last block, level, mutation.
_PART = re.compile(r"(?P<partition>.+?)_(?P<first>\d+)_(?P<last>\d+)_\d+(?:_\d+)?")


@dataclass(frozen=True)
class _Part:
    partition: str
    first: int
    last: int

    @classmethod
    def parse(cls, name: str) -> _Part | None:
        found = _PART.fullmatch(name)
        return cls(found["partition"], int(found["first"]), int(found["last"])) if found else None

    def covers(self, other: _Part) -> bool:
        """Whether it is `other`, or was merged from it and its neighbours."""
        return self.partition == other.partition and self.first <= other.first and other.last <= self.last


def forget_missing_parts(directory: Path) -> int:
    """Remove the notes on parts that do not exist from the logs of every table of the embedded store in `directory`.
    Returns their number. The engine must not be running there. Raises OSError."""
    forgotten = sum(_correct(path) for path in sorted(directory.glob(f"store/*/*/{_LOGS}/*.txt")))
    if forgotten:
        log.warning("an insert was cut off before its last step; it can be repeated", extra={"parts": forgotten})
    return forgotten


def _correct(path: Path) -> int:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    if not lines:
        return 0
    table = path.parent.parent
    parts = [part for each in table.iterdir() if not each.name.startswith("tmp_") and (part := _Part.parse(each.name))]
    kept = [line for line in lines if not _is_missing(line, parts)]
    if len(kept) < len(lines):
        draft = table / f"tmp_{path.name}"  # of such names the engine takes no notice
        draft.write_text("".join(kept), encoding="utf-8")
        os.replace(draft, path)
    return len(lines) - len(kept)


def _is_missing(line: str, parts: list[_Part]) -> bool:
    operation, _, rest = line.partition("\t")
    part = _Part.parse(rest.partition("\t")[0])
    return operation == _ADDED and part is not None and not any(each.covers(part) for each in parts)
