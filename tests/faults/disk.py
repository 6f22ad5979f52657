"""A small disk of one's own, and ways to fill it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


class SmallDisk:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self, *, leaving: int = 0) -> None:
        """Take all that is free, but for `leaving` bytes."""
        with self._ballast.open("wb") as file:
            while (size := self._free_bytes() - leaving) > 0:
                with suppress(OSError):  # others write meanwhile: what was free may be gone
                    os.posix_fallocate(file.fileno(), file.tell(), size)
                file.seek(0, os.SEEK_END)

    def _free_bytes(self) -> int:
        free = os.statvfs(self.path)
        return free.f_bavail * free.f_frsize

    def free(self) -> None:
        self._ballast.unlink()


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[SmallDisk]:
    """A tmpfs of `size`; skips the test where only root could have one."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(path)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs of its own: {mounted.stderr.strip()}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
