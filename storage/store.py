"""The store as the rest of the hub sees it: SQL in, bytes or rows out, one error type.

`open_store` picks the implementation from the DSN; callers depend on the `Store` protocol only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

DATABASE = "llm"

_CODE = re.compile(r"\bCode: (\d+)\. ")
_NAME = re.compile(r"\(([A-Z][A-Z0-9_]{2,})\)\Z")
_VERSION = re.compile(r"\s*\(version [^()]*(?:\([^()]*\))?\)\.?\s*\Z")
_NESTED = re.compile(  # the embedded engine wraps some errors in copies of themselves
    r"Code: (\d+)\. DB::Exception: (?P<inner>Code: \1\. DB::Exception: .*) \(version [^()]*\)\. \([A-Z0-9_]+\)\Z",
    re.DOTALL,
)


class StoreError(Exception):
    """A statement failed. `code` and `name` are ClickHouse's; 0 and '' when it has none, as without a connection."""

    def __init__(self, message: str, *, code: int = 0, name: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.name = name

    @classmethod
    def parse(cls, text: str) -> StoreError:
        """Read code and name out of ClickHouse's own text, whatever a driver has put around it."""
        code = _CODE.search(text)
        if code is None:
            return cls(text.strip())
        message = _VERSION.sub("", text[code.start() :].strip())
        while nested := _NESTED.match(message):
            message = nested["inner"]
        name = _NAME.search(message)
        return cls(message, code=int(code[1]), name=name[1] if name else "")

    @classmethod
    def clickhouse(cls, code: int, name: str, reason: str) -> StoreError:
        """An error that the hub raises itself, worded as ClickHouse words it."""
        return cls(f"Code: {code}. DB::Exception: {reason} ({name})", code=code, name=name)


@dataclass(frozen=True)
class Limits:
    """What readers may use, and how many handles the embedded engine gets."""

    readers: int = 4
    writers: int = 2
    client_writers: int = 4  # clients of the ClickHouse endpoint that write at the same time
    reader_wait_seconds: float = 10.0  # how long a query waits for a free reader before it is refused
    query_seconds: float = 30.0
    query_memory_bytes: int = 1 << 30
    result_bytes: int = 256 << 20
    engine_memory_bytes: int | None = None  # the whole embedded engine; None leaves the engine's own share of RAM

    def settings(self) -> dict[str, str | int | float]:
        """The limits of one query as ClickHouse settings."""
        return {
            "max_execution_time": self.query_seconds,
            "max_memory_usage": self.query_memory_bytes,
            "max_result_bytes": self.result_bytes,
            "result_overflow_mode": "throw",
        }

    def bounded(self, result: bytes) -> bytes:
        """`result`, unless its text outgrew `result_bytes`, which ClickHouse counts before formatting."""
        if len(result) > self.result_bytes:
            reason = f"Limit for result exceeded, max bytes: {self.result_bytes}, current bytes: {len(result)}."
            raise StoreError.clickhouse(396, "TOO_MANY_ROWS_OR_BYTES", reason)
        return result


class Store(Protocol):
    """ClickHouse, embedded or remote. Every method blocks, is thread-safe and raises `StoreError`."""

    @property
    def database(self) -> str:
        """The database that unqualified table names belong to."""

    @property
    def dictionary_source(self) -> str:
        """What a dictionary says within SOURCE(CLICKHOUSE(...)) to read a table of this store."""

    def query(self, sql: str, *, fmt: str = "JSONEachRow", params: Mapping[str, str] | None = None) -> bytes:
        """One read-only statement; the result in `fmt` unless the SQL names a FORMAT itself.

        `params` are plain texts for the `{name:Type}` places in the SQL.
        """

    def rows(self, sql: str, *, params: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """`query`, decoded; 64-bit integers are ints, dates are strings."""

    def execute(self, sql: str) -> None:
        """One statement that changes something: DDL, INSERT SELECT, SYSTEM."""

    def insert(self, table: str, *data: bytes, fmt: str, settings: Mapping[str, str | int] | None = None) -> None:
        """Insert `data`, parts of one text in `fmt`; returns after ClickHouse has committed it.

        `table` is trusted SQL: a table name, optionally followed by a column list in parentheses.
        """

    def flush(self) -> None:
        """Make what is committed survive a loss of power, where that is this process's business."""

    def close(self) -> None:
        """Wait for running statements and let go of everything. Idempotent."""


def decode_rows(body: bytes) -> list[dict[str, Any]]:
    """JSONEachRow text as dictionaries."""
    return [json.loads(line) for line in body.splitlines() if line]


def open_store(dsn: str, **limits: Any) -> Store:
    """Open the store that `dsn` names; keyword arguments are the fields of `Limits`.

    `chdb:///absolute/directory` is the embedded engine, `clickhouse://user:password@host:8123/database`
    a ClickHouse server over HTTP (`clickhouses://` or `?secure=1` for TLS, `?ca_cert=FILE`, `?verify=0`).
    """
    scheme = urlsplit(dsn).scheme
    if scheme == "chdb":
        from storage.embedded import EmbeddedStore

        return EmbeddedStore(embedded_path(dsn), Limits(**limits))
    if scheme in ("clickhouse", "clickhouses"):
        from storage.server import ServerStore

        return ServerStore(dsn, Limits(**limits))
    raise StoreError(
        f"the store must start with chdb://, clickhouse:// or clickhouses://, not {scheme or 'a bare word'!r}: "
        "for example chdb:///var/lib/llmhub or clickhouse://user:password@localhost:8123/llm"
    )


def embedded_path(dsn: str) -> str:
    """The directory of a `chdb://` DSN."""
    parts = urlsplit(dsn)
    if parts.netloc or not parts.path.strip("/"):
        raise StoreError(f"{dsn!r} needs an absolute directory after chdb://, for example chdb:///var/lib/llmhub")
    if parts.query or parts.fragment:
        raise StoreError(f"{dsn!r}: the directory of an embedded store cannot contain '?' or '#'")
    return unquote(parts.path)
