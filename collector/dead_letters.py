"""Requests and records that can never be stored: kept with the reason, sealed, until an operator decides."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
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
    digest: bytes = b""
    """Of the request it came with; empty where nobody has kept it."""
    replayed: bool = False


class DeadLetters:
    """The table dead_letters, whose bodies only this key opens. Thread-safe; every method raises StoreError."""

    def __init__(self, store: Store, cipher: Cipher) -> None:
        self._store = store
        self._cipher = cipher

    def keep(self, letters: Sequence[DeadLetter]) -> None:
        """Returns when they are stored; the same letters again leave one copy."""
        if letters:
            # The time, too: bytes that come again after a purge have the same id, and are not there any more.
            ids = (struct.pack("<QQ", letter.request_id, letter.received_ns) for letter in letters)
            self._insert([self._row(letter) for letter in letters], hashlib.sha256(b"".join(ids)).hexdigest())

    def keep_on_disk(self, letters: Sequence[DeadLetter]) -> None:
        """As `keep`; they survive a loss of power."""
        self.keep(letters)
        self._store.flush()

    def newest(self, limit: int = 100) -> list[dict[str, Any]]:
        """Without their bodies."""
        return self._store.rows(
            f"SELECT {_LISTED} FROM dead_letters FINAL ORDER BY received_at DESC, request_id LIMIT {{limit:UInt32}}",
            params={"limit": str(limit)},
        )

    def get(self, request_id: int) -> DeadLetter | None:
        """Raises ValueError when it was sealed with another key."""
        rows = self._store.rows(
            f"SELECT {_LISTED}, toUnixTimestamp64Nano(received_at) AS received_ns, body, digest FROM dead_letters FINAL "
            "WHERE request_id = {id:UInt64}",
            params={"id": str(request_id)},
        )
        return self._letter(rows[0]) if rows else None

    def replayable(self) -> list[int]:
        """The ids of those that nobody has replayed yet, the oldest first."""
        return self._ids("NOT replayed")

    def older_than(self, days: float) -> list[int]:
        """The ids of those received that long ago, the oldest first."""
        seconds = int(days * 86_400)
        return self._ids("received_at < now64(3) - toIntervalSecond({seconds:UInt64})", seconds=str(seconds))

    def with_digest(self, start: bytes) -> list[int]:
        """The ids of those whose digest begins with `start`, the oldest first."""
        return self._ids("startsWith(digest, {start:String})", start=start.hex())

    def counts(self) -> dict[str, int]:
        """How many wait for an operator (`waiting`), and how many were `replayed`."""
        sql = "SELECT countIf(NOT d.replayed) AS waiting, countIf(d.replayed) AS replayed FROM dead_letters AS d FINAL"
        return self._store.rows(sql)[0]

    def mark_replayed(self, request_id: int) -> None:
        self._store.execute(
            "INSERT INTO dead_letters SELECT * REPLACE (true AS replayed) FROM "
            f"(SELECT * FROM dead_letters FINAL WHERE request_id = {int(request_id)} AND NOT replayed)"
        )

    def purge(self, request_ids: Iterable[int]) -> int:
        """Remove them for good, a loss of power included, and say how many there were. That there were such requests stays
        known for as long as requests are."""
        ids = ", ".join(str(int(each)) for each in request_ids)
        if not ids:
            return 0
        found = len(self._ids(f"request_id IN ({ids})"))
        self._store.execute(
            "INSERT INTO purged_letters (request_id, tenant, signal, received_at) "
            f"SELECT request_id, tenant, signal, received_at FROM dead_letters FINAL WHERE request_id IN ({ids})"
        )
        self._store.execute(f"DELETE FROM dead_letters WHERE request_id IN ({ids})")
        self._store.flush()
        return found

    def _ids(self, condition: str, **params: str) -> list[int]:
        sql = f"SELECT request_id FROM dead_letters FINAL WHERE {condition} ORDER BY received_at, request_id"
        return [row["request_id"] for row in self._store.rows(sql, params=params)]

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
            "digest": letter.digest.hex(),
        }

    def _letter(self, row: dict[str, Any]) -> DeadLetter:
        body = self._cipher.open(base64.b64decode(row["body"]), _context(row["request_id"]))
        return DeadLetter(
            row["request_id"],
            row["tenant"],
            Signal(row["signal"]),
            int(row["received_ns"]),
            row["reason"],
            row["records"],
            body,
            bytes.fromhex(row["digest"]),
            bool(row["replayed"]),
        )


def _context(request_id: int) -> bytes:
    return b"dead letter" + request_id.to_bytes(8, "little")
