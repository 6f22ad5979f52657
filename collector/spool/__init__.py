"""Batches on disk before they are in the store: encrypted, checked, bounded, replayed in order."""

from collector.spool.cipher import Cipher, KeyFileError, open_key
from collector.spool.segment import SpoolDamaged, SpoolError
from collector.spool.spool import Spool, SpoolFull, SpoolSettings

__all__ = [
    "Cipher",
    "KeyFileError",
    "Spool",
    "SpoolDamaged",
    "SpoolError",
    "SpoolFull",
    "SpoolSettings",
    "open_key",
]
