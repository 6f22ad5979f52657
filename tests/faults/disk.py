"""Disks of one's own: a small one, and ways to fill it; one whose power can be cut."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.hub.process import until


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


# https://github.com/torvalds/linux/blob/master/include/uapi/linux/ext4.h: EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH.
_SHUTDOWN = 0x8004587D
_LOSE_THE_JOURNAL = struct.pack("I", 2)


class Ext4Disk:
    def __init__(self, image: Path, path: Path) -> None:
        self._image = image
        self.path = path

    def cut(self) -> None:
        """From now on nothing reaches the disk, neither data nor journal: as if its power had been cut."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, _LOSE_THE_JOURNAL)
        finally:
            os.close(fd)

    def remount(self) -> None:
        """What was synced is there again. Nobody may have a file of it open."""
        assert until(lambda: subprocess.run(["umount", str(self.path)], check=False).returncode == 0)
        self._mount(check=True)

    def _mount(self, *, check: bool) -> subprocess.CompletedProcess[str]:
        command = ["mount", "-o", "loop", str(self._image), str(self.path)]
        return subprocess.run(command, capture_output=True, text=True, check=check)


@contextmanager
def ext4_disk(path: Path, size: int) -> Iterator[Ext4Disk]:
    """An ext4 of `size` bytes in a file beside `path`; skips the test where only root could have one."""
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("there is no mkfs.ext4")
    path.mkdir()
    image = path.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(size)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    disk = Ext4Disk(image, path)
    mounted = disk._mount(check=False)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount an ext4 of its own: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
