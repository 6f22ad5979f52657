"""Batches on disk before they are in the store: encrypted, checked, bounded, replayed in order."""

from collector.spool.cipher import Cipher, KeyFileError, open_key
from collector.spool.files import SpoolFull
from collector.spool.segment import SpoolDamaged, SpoolError
from collector.spool.settings import SpoolSettings
from collector.spool.spool import Spool

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
