"""Who owns an embedded store's directory: one process at a time, and others can find it.

The owner holds an flock on `hub.lock` in the directory. The file holds its pid and, once known, the address
of its ClickHouse HTTP endpoint, so that a second process can query through the running hub. The lock dies
with the process; a stale file means nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from storage.store import StoreError

LOCK_FILE = "hub.lock"
_RECORD_BYTES = 1024  # fixed size, so that one pwrite replaces the whole record
_RETRY_SECONDS = 1.0  # read_owner holds the lock for an instant; a restarting owner may need a moment to go


@dataclass(frozen=True)
class Owner:
    """The process that has an embedded store open; `url` is its ClickHouse HTTP address, '' if not advertised."""

    pid: int
    url: str


class StoreBusy(StoreError):
    """The embedded store's directory is open in another process (or a second time in this one)."""

    def __init__(self, path: Path, owner: Owner | None) -> None:
        who = f"process {owner.pid}" if owner else "another process"
        query = f", query it through {owner.url}" if owner and owner.url else ""
        super().__init__(
            f"{path} is in use by {who}, and an embedded store belongs to one process: stop that one{query}, or set "
            "storage.dsn (--store) to another directory"
        )
        self.owner = owner


class DirectoryLock:
    """Holds `path` for this process from construction to `release`; raises `StoreBusy`."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        if not try_lock(self._fd, fcntl.LOCK_EX, _RETRY_SECONDS):
            owner = _read_record(self._fd)
            os.close(self._fd)
            raise StoreBusy(path, owner)
        self.write("")

    def write(self, url: str) -> None:
        record = json.dumps({"pid": os.getpid(), "url": url}).encode()
        if len(record) > _RECORD_BYTES:
            raise ValueError(f"the advertised address is longer than {_RECORD_BYTES} bytes")
        os.pwrite(self._fd, record.ljust(_RECORD_BYTES), 0)

    def release(self) -> None:
        """Let the next owner in. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def read_owner(path: str | Path) -> Owner | None:
    """Who has the embedded store in `path` open now; None when nobody has."""
    try:
        fd = os.open(Path(path) / LOCK_FILE, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return None if try_lock(fd, fcntl.LOCK_SH, 0.0) else _read_record(fd)
    finally:
        os.close(fd)


def try_lock(fd: int, kind: int, patience: float) -> bool:
    """Whether the flock of this `kind` was to be had within `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        else:
            return True


def _read_record(fd: int) -> Owner | None:
    try:
        record = json.loads(os.pread(fd, _RECORD_BYTES, 0))
        return Owner(int(record["pid"]), str(record["url"]))
    except (ValueError, KeyError, TypeError):
        return None
