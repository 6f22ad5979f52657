"""Requests straight into a store, without pipeline and spool."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from collector.breaker import Breaker
from collector.dead_letters import DeadLetters
from collector.envelope import Envelope
from collector.metrics import CollectorMetrics
from collector.spool import Cipher
from collector.writer import Acknowledgement, Writer
from storage.embedded import EmbeddedStore


def store_whole(store: EmbeddedStore, batch: Sequence[Envelope]) -> None:
    """Write `batch`; fails when something of it was not stored."""
    letters = DeadLetters(store, Cipher(bytes(32)))
    written = Writer(store, Breaker(), letters, CollectorMetrics(CollectorRegistry())).write(batch)
    assert written.error is None
    assert set(written.outcomes.values()) == {Acknowledgement()}
