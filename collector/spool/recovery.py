"""What a spool finds on its disk when it starts: what is damage, what is settled, whether the machine was restarted."""

from __future__ import annotations

import os
from pathlib import Path

from collector.spool.segment import (
    SETTLED_SUFFIX,
    Record,
    Scan,
    SpoolDamaged,
    SpoolError,
    read_payload,
    scan,
)
from storage.boot import boot_id

_BOOT_FILE = "boot_id"


def private(path: str, flags: int) -> int:
    """An opener for files that only the hub's user may read."""
    return os.open(path, flags, 0o600)


def note_boot(directory: Path) -> None:
    """Remember in which run of the machine the spool is used."""
    with open(directory / _BOOT_FILE, "w", encoding="ascii", opener=private) as file:
        file.write(boot_id())


def is_same_boot(directory: Path) -> bool:
    """Whether the machine has been running since the last `note_boot`."""
    try:
        return (directory / _BOOT_FILE).read_text(encoding="ascii") == boot_id()
    except OSError:
        return False


def check_segment(path: Path, found: Scan, key_id: bytes, *, last: bool) -> None:
    """Raises SpoolDamaged when something in the file is neither good nor the torn end of a crash, SpoolError when it
    was written with another key."""
    if found.header is None or found.damaged or (found.torn_bytes and not last):
        raise SpoolDamaged(
            f"{path} is damaged and may hold batches that were acknowledged. Run `llmhub spool repair`: it keeps what can "
            "be read and sets the damaged bytes aside"
        )
    if found.header.key_id != key_id:
        raise SpoolError(
            f"{path} was written with another key: set collector.spool.key_file to that key, or move the directory away"
        )


def settled_in(path: Path) -> list[tuple[Record, list[int]]]:
    """What the file beside the segment `path` says: (the note on a batch, its settled request ids or [] for all)."""
    beside = path.with_suffix(SETTLED_SUFFIX)
    records = scan(beside).records if beside.exists() else []
    payloads = [(record, read_payload(record)) for record in records]
    return [
        (record, [int.from_bytes(payload[at : at + 8], "little") for at in range(0, len(payload), 8)])
        for record, payload in payloads
    ]
