"""What h2corn writes to standard error by itself, past the log of the hub."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger("h2corn")

_STDERR = 2


@contextmanager
def h2corn_logged() -> Iterator[None]:
    """What it writes within the block goes to the logger `h2corn`; lines of others stay as they are, and come at the end
    of the block. For a block that is short."""
    try:
        held = tempfile.TemporaryFile("ab+")  # noqa: SIM115  it is used below
    except OSError:  # no room or no right to write; the lines are not worth more than the start
        yield
        return
    with held:
        own = os.dup(_STDERR)
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        finally:
            os.dup2(own, _STDERR)
            os.close(own)
            held.seek(0)
            for line in held:
                _pass_on(line)


def _pass_on(line: bytes) -> None:
    try:
        event = json.loads(line)
        level = logging.getLevelNamesMapping()[event.pop("level").upper()]
        text = event.pop("event")
    except (ValueError, KeyError, TypeError, AttributeError):
        os.write(_STDERR, line)
    else:
        log.log(level, text, extra={f"h2corn_{name}": value for name, value in event.items()})
