"""Requests and records that can never be stored: kept with the reason, sealed, until an operator decides."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from collector.signals import Signal
from collector.spool.cipher import Cipher
from storage.store import Store

_LISTED = "request_id, tenant, signal, received_at, reason, records, size, replayed"


@dataclass(frozen=True)
class DeadLetter:
    """A request, or the part of one that was rejected. `records` is 0 where they could not be counted."""

    request_id: int
    tenant: str
    signal: Signal
    received_ns: int
    reason: str
    records: int
    body: bytes


class DeadLetters:
    """The table dead_letters, whose bodies only this key opens. Thread-safe; every method raises StoreError."""

    def __init__(self, store: Store, cipher: Cipher) -> None:
        self._store = store
        self._cipher = cipher

    def keep(self, letters: Sequence[DeadLetter]) -> None:
        """Returns when they are stored; the same letters again leave one copy."""
        if letters:
            ids = b"".join(letter.request_id.to_bytes(8, "little") for letter in letters)
            self._insert([self._row(letter) for letter in letters], hashlib.sha256(ids).hexdigest())

    def newest(self, limit: int = 100) -> list[dict[str, Any]]:
        """Without their bodies."""
        return self._store.rows(
            f"SELECT {_LISTED} FROM dead_letters FINAL ORDER BY received_at DESC, request_id LIMIT {{limit:UInt32}}",
            params={"limit": str(limit)},
        )

    def get(self, request_id: int) -> DeadLetter | None:
        """Raises ValueError when it was sealed with another key."""
        rows = self._store.rows(
            f"SELECT {_LISTED}, toUnixTimestamp64Nano(received_at) AS received_ns, body FROM dead_letters FINAL "
            "WHERE request_id = {id:UInt64}",
            params={"id": str(request_id)},
        )
        return self._letter(rows[0]) if rows else None

    def replayable(self) -> list[int]:
        """The ids of those that nobody has replayed yet, the oldest first."""
        rows = self._store.rows("SELECT request_id FROM dead_letters FINAL WHERE NOT replayed ORDER BY received_at")
        return [row["request_id"] for row in rows]

    def mark_replayed(self, request_id: int) -> None:
        self._store.execute(
            "INSERT INTO dead_letters SELECT * REPLACE (true AS replayed) FROM dead_letters FINAL "
            f"WHERE request_id = {int(request_id)} AND NOT replayed"
        )

    def purge(self, request_ids: Iterable[int]) -> None:
        """Remove them for good."""
        ids = ", ".join(str(int(each)) for each in request_ids)
        if ids:
            self._store.execute(f"DELETE FROM dead_letters WHERE request_id IN ({ids})")

    def _insert(self, rows: Sequence[dict[str, Any]], token: str) -> None:
        data = "\n".join(map(json.dumps, rows)).encode()
        self._store.insert(
            "dead_letters", data, fmt="JSONEachRow", settings={"insert_deduplication_token": f"dead letters {token}"}
        )

    def _row(self, letter: DeadLetter) -> dict[str, Any]:
        sealed = self._cipher.seal(letter.body, _context(letter.request_id))
        return {
            "request_id": letter.request_id,
            "tenant": letter.tenant,
            "signal": letter.signal.value,
            "received_at": f"{letter.received_ns / 1e9:.3f}",
            "reason": letter.reason,
            "records": letter.records,
            "size": len(letter.body),
            "body": base64.b64encode(sealed).decode(),
        }

    def _letter(self, row: dict[str, Any]) -> DeadLetter:
        body = self._cipher.open(base64.b64decode(row["body"]), _context(row["request_id"]))
        return DeadLetter(
            row["request_id"], row["tenant"], Signal(row["signal"]), int(row["received_ns"]), row["reason"], row["records"], body
        )  # fmt: skip


def _context(request_id: int) -> bytes:
    return b"dead letter" + request_id.to_bytes(8, "little")
