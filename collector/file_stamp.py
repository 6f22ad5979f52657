"""Whether a file that is read again and again is another one by now."""

from __future__ import annotations

import os

Stamp = tuple[int, int, int]


def file_stamp(path: str | os.PathLike[str]) -> Stamp:
    """Differs when the file does; also when it is gone, or replaced by one of the same time and size."""
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)
