"""Memory that is free goes back to the system."""

from __future__ import annotations

import ctypes
import gc

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Collect what Python's thresholds leave for long, an exception with the frames that it went through, say, and have glibc
    return what is free: once large blocks were in use, it keeps up to 64 MB for each thread. Thread-safe."""
    gc.collect()
    if _trim is not None:
        _trim(0)
