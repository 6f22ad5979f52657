"""The directories in which the embedded engine keeps the parts of its tables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# https://clickhouse.com/docs/operations/system-tables/parts: partition, first and last block, level, mutation.
_NAME = re.compile(r"(?P<partition>.+?)_(?P<first>\d+)_(?P<last>\d+)_\d+(?:_\d+)?")
# What is being written, and what is being removed.
_PASSING = ("tmp_", "delete_tmp_")


@dataclass(frozen=True)
class Part:
    partition: str
    first: int
    last: int

    @classmethod
    def parse(cls, name: str) -> Part | None:
        found = None if name.startswith(_PASSING) else _NAME.fullmatch(name)
        return cls(found["partition"], int(found["first"]), int(found["last"])) if found else None

    def covers(self, other: Part) -> bool:
        """Whether it is `other`, or was merged from it and its neighbours."""
        return self.partition == other.partition and self.first <= other.first and other.last <= self.last


def tables(directory: Path) -> Iterator[Path]:
    """The directories of the tables in the store in `directory`. Raises OSError."""
    yield from sorted(directory.glob("store/*/*"))


def parts_of(table: Path) -> dict[str, Part]:
    """Those that are in its directory, by name. Raises OSError."""
    return {name: part for name in os.listdir(table) if (part := Part.parse(name))}
