"""In which run of the machine this is."""

from __future__ import annotations

from pathlib import Path


def boot_id() -> str:
    """Another one after every start of the machine; '' where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
