"""What the commands share: where they print, how they read the configuration, how they fail."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich import box, table
from rich.console import Console
from rich.measure import Measurement
from rich.progress import Progress, ProgressColumn
from rich.text import Text

from collector.errors import HubError
from collector.spool import KeyFileError, SpoolError
from llmhub import config as configuration
from llmhub.config import Config, ConfigError
from llmhub.traffic.errors import TrafficError
from storage.price_store import PriceError
from storage.schema import SchemaError
from storage.store import StoreError

out = Console()
err = Console(stderr=True)
FAILURES = (StoreError, PriceError, SchemaError, SpoolError, KeyFileError, HubError, TrafficError, OSError)

_ENDLESS = 1 << 20
_NARROWEST = 16

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def load(context: typer.Context) -> Config:
    """The configuration of --config and --store; ends the process with 2 when it cannot be used."""
    path, dsn = context.find_root().obj
    try:
        return configuration.load(path, dsn=dsn)
    except ConfigError as error:
        say(f"llmhub: {error}")
        raise typer.Exit(2) from None


@contextmanager
def failures() -> Iterator[None]:
    """Errors that have a remedy are told in one line, not as a traceback."""
    try:
        yield
    except FAILURES as error:
        if isinstance(error, OSError) and error.filename:
            say(f"llmhub: {error.filename}: {error.strerror}")
        else:
            say(f"llmhub: {error}")
        raise typer.Exit(1) from None


def say(text: str) -> None:
    """A line to standard error, as it is."""
    err.print(_safe(text), markup=False, highlight=False, soft_wrap=True)


def tell(text: str) -> None:
    """A line to standard output, as it is."""
    out.print(_safe(text), markup=False, highlight=False, soft_wrap=True)


def _safe(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def printable(text: str) -> str:
    """Senders choose names and texts: what would steer a terminal is shown as a question mark."""
    return "".join(character if character.isprintable() else "?" for character in text)


class Table(table.Table):
    """Texts are shown as they are, and whole: only the columns `wraps` are broken over lines where the terminal is narrow."""

    def __init__(self, *headers: str, wraps: Collection[str] = (), title: str | None = None) -> None:
        super().__init__(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title=title, title_justify="left")
        for header in headers:
            wrapped = header in wraps
            self.add_column(header, no_wrap=not wrapped, overflow="fold", min_width=_NARROWEST if wrapped else 0)

    def add_texts(self, *texts: str) -> None:
        cells = [Text(printable(text)) for text in texts]
        self.add_row(*cells)
        for column, cell in zip(self.columns, cells, strict=True):
            if column.no_wrap:
                column.min_width = max(column.min_width or 0, cell.cell_len, len(str(column.header)))


def show(shown: table.Table, console: Console = out) -> None:
    """Where no terminal is, a row is a line, however long: scripts take it apart."""
    wide = Console(file=console.file, width=_ENDLESS)
    fits = Measurement.get(wide, wide.options, shown)
    width = max(console.width, fits.minimum) if console.is_terminal else fits.maximum
    Console(file=console.file, width=width, highlight=False, soft_wrap=True).print(shown)


def progress(*columns: ProgressColumn) -> Progress:
    """On standard error, and only where somebody can see it."""
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)


def print_json(document: Any) -> None:
    print(json.dumps(document, ensure_ascii=False))
