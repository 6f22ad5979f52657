"""The store on a ClickHouse server, over its HTTP interface."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError, MaxRetryError

from storage.statement import escape_params, insert_statement, quote, quote_name
from storage.store import DATABASE, Limits, StoreError, decode_rows

_PORTS = {False: 8123, True: 8443}
_URL = re.compile(r"\s*\(for url [^()]*\)\s*\Z")  # which the client puts behind ClickHouse's text
_TRUE = ("1", "true", "yes", "on")


@dataclass(frozen=True)
class ServerAddress:
    """A `clickhouse://` DSN taken apart."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    secure: bool
    verify: bool
    ca_cert: str | None

    @classmethod
    def parse(cls, dsn: str) -> ServerAddress:
        """Raises StoreError that names the part that is wrong, never the password."""
        parts = urlsplit(dsn)
        options = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        unknown = sorted(options.keys() - {"secure", "verify", "ca_cert"})
        if unknown:
            raise StoreError(f"unknown option {unknown[0]!r} in the store's DSN; secure, verify and ca_cert are known")
        secure = parts.scheme == "clickhouses" or options.get("secure", "0").lower() in _TRUE
        try:
            port = parts.port or _PORTS[secure]
        except ValueError as error:
            raise StoreError(f"the port in the store's DSN is not valid: {error}") from error
        if not parts.hostname:
            raise StoreError("the store's DSN names no host: write clickhouse://user:password@host:8123/database")
        return cls(
            host=parts.hostname,
            port=port,
            user=unquote(parts.username or "default"),
            password=unquote(parts.password or ""),
            database=unquote(parts.path.strip("/")) or DATABASE,
            secure=secure,
            verify=options.get("verify", "1").lower() in _TRUE,
            ca_cert=options.get("ca_cert"),
        )


class ServerStore:
    """A database on a ClickHouse server; created when missing and the user may create it."""

    def __init__(self, dsn: str, limits: Limits | None = None) -> None:
        address = ServerAddress.parse(dsn)
        self.database = address.database
        login = f"USER {quote(address.user)} PASSWORD {quote(address.password)}"
        self.dictionary_source = f"DB {quote(address.database)} {login}"
        with _errors():
            self._client = _connect(address)
        self._reader_settings = self._allowed_settings(limits or Limits())
        self._create_database()

    def _allowed_settings(self, limits: Limits) -> dict[str, str | int | float]:
        """The server refuses `readonly` from a user who is restricted already, and all settings under readonly=1."""
        restricted = int(self._read("SELECT getSetting('readonly')", "TSV", {}, {}))
        if restricted == 1:
            return {}
        return limits.settings() if restricted else {**limits.settings(), "readonly": 1}

    def _create_database(self) -> None:
        name = quote_name(self.database)
        if int(self._read(f"EXISTS DATABASE {name}", "TSV", {}, {})) == 0:
            self.execute(f"CREATE DATABASE IF NOT EXISTS {name}")
        self._client.database = self.database

    def query(self, sql: str, *, fmt: str = "JSONEachRow", params: Mapping[str, str] | None = None) -> bytes:
        return self._read(sql, fmt, params or {}, self._reader_settings)

    def rows(self, sql: str, *, params: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        return decode_rows(self.query(sql, params=params))

    def execute(self, sql: str) -> None:
        with _errors():
            self._client.raw_query(sql)

    def insert(self, table: str, *data: bytes, fmt: str, settings: Mapping[str, str | int] | None = None) -> None:
        # The statement travels in the body: its settings hold whole .proto files, too long for a URL.
        head = f"{insert_statement(table, settings)} FORMAT {fmt}\n".encode()
        with _errors():
            self._client.raw_insert("", insert_block=(part for part in (head, b"".join(data)) if part))

    def flush(self) -> None:
        """The server's own business: its fsync settings and replicas."""

    def close(self) -> None:
        self._client.close()

    def _read(self, sql: str, fmt: str, params: Mapping[str, str], settings: Mapping[str, str | int | float]) -> bytes:
        bound = {name: _AsIs(value) for name, value in escape_params(sql, params).items()}
        # The format goes into a header, because the client would append a second FORMAT to SQL that has one.
        headers = {"X-ClickHouse-Format": fmt}
        with _errors():
            return self._client.raw_query(sql, parameters=bound, settings=dict(settings), transport_settings=headers)


class _AsIs:
    """A parameter that is escaped already: the client escapes texts, but sends other objects as `str` makes them."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


def _connect(address: ServerAddress) -> Client:
    return clickhouse_connect.get_client(
        host=address.host,
        port=address.port,
        username=address.user,
        password=address.password,
        database="__default__",
        secure=address.secure,
        verify=address.verify,
        ca_cert=address.ca_cert,
        autogenerate_session_id=False,
        client_name="llmhub",
    )


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except ClickHouseError as error:
        raise StoreError.parse(_URL.sub("", _unreachable(error) or str(error))) from error


def _unreachable(error: ClickHouseError) -> str:
    """Why no answer came at all, '' when one did. The driver's own text wraps it four times, with an address in each."""
    pool, cause = "", error.__cause__ or error.__context__
    while isinstance(cause, HTTPError):
        if isinstance(cause, MaxRetryError):
            pool = f"{cause.pool.host}:{cause.pool.port}"
        cause = cause.__cause__ or cause.__context__
    if not pool or not isinstance(cause, OSError):
        return ""
    return f"no ClickHouse server answers at {pool}: {cause.strerror or cause}. Start it, or set storage.dsn to where it is."
