"""Tables that come with the program, each in a .csv file beside this one."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable


def rows(name: str) -> Iterator[dict[str, str]]:
    """The rows of `name`.csv, in the order of the file."""
    with _file(name).open(encoding="utf-8") as file:
        yield from csv.DictReader(file)


def checksum(name: str) -> str:
    """Another one when `name`.csv is."""
    return hashlib.sha256(_file(name).read_bytes()).hexdigest()


def _file(name: str) -> Traversable:
    return resources.files(__name__).joinpath(f"{name}.csv")
