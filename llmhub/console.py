"""What the commands share: where they print, how they read the configuration, how they fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console

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
        say(f"llmhub: {error}")
        raise typer.Exit(1) from None


def say(text: str) -> None:
    """A line to standard error, as it is."""
    err.print(text, markup=False, highlight=False, soft_wrap=True)


def tell(text: str) -> None:
    """A line to standard output, as it is."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)


def print_json(document: Any) -> None:
    print(json.dumps(document, ensure_ascii=False))
