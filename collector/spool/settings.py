"""What may be set of the spool."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SpoolSettings:
    """Where batches wait on disk, and how much of them."""

    path: str = ""
    """Directory; by default `spool` in the directory of the embedded store, or in llmhub's data directory."""
    key_file: str = ""
    """64 hexadecimal digits, the key of spool and dead letters; by default a file beside the spool, made at first start."""
    max_bytes: int = 4 << 30
    """Full at this size: senders are told to retry."""
    max_age_seconds: float = 86_400.0
    """Full, too, when a batch has waited this long for the store."""
    segment_bytes: int = 64 << 20
    """Size of one file."""
