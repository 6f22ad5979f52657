"""Dead letters sent through the pipeline again, each of them stored once however often it is tried."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from collector.dead_letters import DeadLetter, DeadLetters
from collector.duplicates import digest_of
from collector.errors import HubError, InvalidRequest
from collector.pipeline import Pipeline
from collector.spool import Spool
from storage.store import Store, StoreError

# The digest of an attempt: so much of one of the letter, then the number of the attempt.
_PREFIX_BYTES = 12
_ATTEMPTS_SQL = """
SELECT request_id, records FROM ingest_requests
WHERE received_at > fromUnixTimestamp64Milli({since:Int64})
    AND (digest = unhex({whole:String}) OR substring(digest, 1, 12) = unhex({attempt:String}))
"""
_REJECTED_SQL = (
    "SELECT request_id, count() AS n FROM rejected_records WHERE request_id IN {ids:Array(UInt64)} GROUP BY 1"
)
# Clocks are set back now and then.
_CLOCK_SLACK_MS = 86_400_000


class Outcome(StrEnum):
    REPLAYED = "replayed"
    """It is safe now, or what can be stored of it; the rest is a dead letter of its own."""
    ALREADY = "already stored"
    """By an earlier replay, or because its sender has sent it again."""
    REJECTED = "rejected again"
    """It stays as it was."""
    POSTPONED = "postponed"
    """The hub or the store is not ready for it; it stays as it was."""
    UNKNOWN = "unknown"
    """There is no such letter."""


@dataclass(frozen=True)
class Replayed:
    request_id: int
    outcome: Outcome
    detail: str = ""


class Replayer:
    """Idempotent, also over a crash: an attempt goes into the store under a digest of the letter, and the next one looks
    for that first. What is in the spool is recognised by the pipeline; when something has been there for longer than that
    remembers, nothing is replayed."""

    def __init__(self, store: Store, dead_letters: DeadLetters, pipeline: Pipeline, spool: Spool) -> None:
        self._store = store
        self._dead_letters = dead_letters
        self._pipeline = pipeline
        self._spool = spool

    async def replay(self, request_id: int) -> Replayed:
        """Raises nothing."""
        try:
            letter = await asyncio.to_thread(self._dead_letters.get, request_id)
            if letter is None:
                return Replayed(request_id, Outcome.UNKNOWN, "there is no such dead letter")
            return await self._replay(letter)
        except InvalidRequest as error:
            return Replayed(request_id, Outcome.REJECTED, str(error))
        except (StoreError, HubError, ValueError) as error:
            return Replayed(request_id, Outcome.POSTPONED, str(error))

    async def _replay(self, letter: DeadLetter) -> Replayed:
        if letter.replayed:
            return Replayed(letter.request_id, Outcome.ALREADY, "it was replayed before")
        if self._spool.oldest_seconds >= self._pipeline.duplicate_window_seconds:
            return Replayed(
                letter.request_id, Outcome.POSTPONED, "old batches wait in the spool: replay when it is empty"
            )
        stored, attempts = await asyncio.to_thread(self._attempts, letter)
        if stored:
            await asyncio.to_thread(self._dead_letters.mark_replayed, letter.request_id)
            return Replayed(letter.request_id, Outcome.ALREADY, f"{stored} of its records are in the store")
        return await self._try(letter, attempts)

    async def _try(self, letter: DeadLetter, attempts: int) -> Replayed:
        digest = _prefix(letter) + attempts.to_bytes(16 - _PREFIX_BYTES, "little")
        try:
            acknowledged = await self._pipeline.submit(letter.signal, letter.tenant, letter.body, digest)
        except InvalidRequest:
            await asyncio.to_thread(self._forget, letter, digest)
            raise
        if acknowledged.rejected and not (await asyncio.to_thread(self._attempts, letter))[0]:
            await asyncio.to_thread(self._forget, letter, digest)
            return Replayed(letter.request_id, Outcome.REJECTED, acknowledged.reason)
        await asyncio.to_thread(self._dead_letters.mark_replayed, letter.request_id)
        rest = f"{acknowledged.rejected} records were rejected again: {acknowledged.reason}"
        return Replayed(letter.request_id, Outcome.REPLAYED, rest if acknowledged.rejected else "")

    def _attempts(self, letter: DeadLetter) -> tuple[int, int]:
        """How many of the letter's records the store has taken, and how many attempts have left a trace."""
        params = {
            "since": str(letter.received_ns // 1_000_000 - _CLOCK_SLACK_MS),
            "whole": digest_of(letter.signal, letter.tenant, letter.body).hex(),
            "attempt": _prefix(letter).hex(),
        }
        rows = self._store.rows(_ATTEMPTS_SQL, params=params)
        ids = {row["request_id"] for row in rows}
        listed = f"[{','.join(map(str, ids))}]"
        rejected = sum(row["n"] for row in self._store.rows(_REJECTED_SQL, params={"ids": listed})) if rows else 0
        traces = ids.union(self._dead_letters.with_digest(_prefix(letter)))
        return sum(row["records"] for row in rows) - rejected, len(traces)

    def _forget(self, letter: DeadLetter, digest: bytes) -> None:
        """The letter that an attempt has left: the first one says it all. Those of other attempts stay, for they may be
        under way themselves, each to remove the others."""
        others = self._dead_letters.with_digest(digest)
        self._dead_letters.purge(other for other in others if other != letter.request_id)


def _prefix(letter: DeadLetter) -> bytes:
    """The same for all letters with the same body of a tenant: the one stands for the other. A letter that an attempt has
    left holds other bytes than the letter it came from, or is forgotten."""
    return digest_of(letter.signal, letter.tenant, b"dead letter " + letter.body)[:_PREFIX_BYTES]
