"""What may be set of the collector."""

from __future__ import annotations

from dataclasses import dataclass

from collector.spool import SpoolSettings


@dataclass(frozen=True)
class PipelineSettings:
    """When a batch is written, and how much may wait."""

    flush_seconds: float = 0.25
    """Seconds a request waits for company before its batch is inserted; longer, up to 0.6 s, while another insert is under
    way and then for as long as it took, so that inserts fill no more than half of the time of a nearly idle hub; also
    while batches wait in the spool."""
    batch_bytes: int = 32 << 20
    """A batch of this size is inserted at once when an insert thread is free."""
    max_batch_bytes: int = 48 << 20
    """What waits in the spool is inserted in batches of this size at most."""
    max_pending_bytes: int = 256 << 20
    """Bytes received and not yet stored or spooled; above it senders are told to retry. Tenants share them."""
    max_pending_requests: int = 32_768
    """The same, counted in requests."""
    concurrent_inserts: int = 2
    """Batches that are inserted at the same time."""
    ack_seconds: float = 5.0
    """A request that is not committed by then is acknowledged as soon as it is in the spool."""
    busy_ack_seconds: float = 0.6
    """The same for requests in batches of a thirty-second of `batch_bytes` and more, until three eighths of
    `max_pending_bytes` wait in memory and a quarter of `spool.max_bytes` on disk: who sends much must not have to drop spans
    because inserts take long. While another insert runs, and just after it, they are acknowledged as soon as they are in
    the spool."""
    duplicate_seconds: float = 600.0
    """A request that is repeated within this time is acknowledged and not stored again."""
    duplicate_requests: int = 1_000_000
    """Requests remembered for that, 100 MB a million; above it the time is shorter."""
    canary_seconds: float = 60.0
    """Time between two spans that the hub sends itself to measure how long they take; 0: none."""
    spool: SpoolSettings = SpoolSettings()
