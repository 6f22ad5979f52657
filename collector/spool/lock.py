"""One process at a time in a spool's directory: two would overwrite each other's batches."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from collector.spool.segment import SpoolError
from storage.disk import fsync_directory
from storage.ownership import try_lock

LOCK_FILE = "lock"
# A restarting hub may need a moment to go.
_PATIENCE_SECONDS = 1.0


class DirectoryLock:
    """Holds `directory`, made with mode 0700 when it is not there, until `release` or the end of the process."""

    def __init__(self, directory: Path) -> None:
        """Raises SpoolError."""
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            fsync_directory(directory.parent)
            self._fd = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise SpoolError(f"collector.spool.path: cannot use {directory}: {error.strerror or error}") from error
        if not try_lock(self._fd, fcntl.LOCK_EX, _PATIENCE_SECONDS):
            self.release()
            raise SpoolError(
                f"collector.spool.path: {directory} is in use by another process of a hub: stop that one, or give this one "
                "another directory"
            )

    def release(self) -> None:
        """Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def is_in_use(directory: Path) -> bool:
    """Whether a process has the spool's directory now. Raises OSError."""
    with (directory / LOCK_FILE).open("ab") as file:
        return not try_lock(file.fileno(), fcntl.LOCK_EX, 0.0)
