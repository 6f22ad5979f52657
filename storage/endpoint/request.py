"""One HTTP request as ClickHouse understands it."""

from __future__ import annotations

import uuid
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser

from storage.endpoint import encoding, framing
from storage.store import StoreError

# Parameters of the interface itself, and settings that mean nothing here: they never reach the engine.
# An INSERT is always synchronous, which is the stronger promise, so async_insert is among them.
_NOT_SETTINGS = frozenset(
    """query database default_format user password quota_key role compress decompress query_id session_id
    session_timeout session_check close_session stacktrace buffer_size wait_end_of_query client_protocol_version
    framing readonly send_progress_in_http_headers http_headers_progress_interval_ms enable_http_compression
    http_zlib_compression_level cancel_http_readonly_queries_on_client_close async_insert wait_for_async_insert
    http_write_exception_in_output_format log_comment log_queries""".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Call:
    """What a request asks for. `text` is the statement with any data behind it, out of all compression.

    `params` are values for `{name:Type}` in ClickHouse's escaping; `protocol_version` is 0 when the client named none.
    """

    text: bytes
    fmt: str
    database: str | None
    params: Mapping[str, str]
    settings: Mapping[str, str]
    reads_only: bool
    protocol_version: int


def parse(method: str, url: Mapping[str, str], headers: Mapping[str, str], body: bytes, limit: int) -> Call:
    """Read a request; `limit` bounds the body after decompression. Raises StoreError."""
    body = encoding.decode(headers.get("content-encoding", ""), body, limit)
    if url.get("decompress") == "1":
        body = framing.unframe(body, limit)
    if headers.get("content-type", "").lower().startswith("multipart/form-data"):
        url = {**url, **_form(headers["content-type"], body, url)}
        body = b""
    query = url.get("query", "").encode()
    return Call(
        text=query + b"\n" + body if query and body else query or body,
        fmt=headers.get("x-clickhouse-format") or url.get("default_format") or "TabSeparated",
        database=headers.get("x-clickhouse-database") or url.get("database") or None,
        params={name.removeprefix("param_"): value for name, value in url.items() if name.startswith("param_")},
        settings={n: v for n, v in url.items() if n not in _NOT_SETTINGS and not n.startswith("param_")},
        reads_only=method in ("GET", "HEAD") or url.get("readonly", "0") not in ("", "0"),
        protocol_version=_number(url.get("client_protocol_version", "0")),
    )


def credentials(url: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, str] | None:
    """User and password from the ClickHouse headers, Basic or the URL, in this order; None without any."""
    if "x-clickhouse-user" in headers or "x-clickhouse-key" in headers:
        return headers.get("x-clickhouse-user") or "default", headers.get("x-clickhouse-key", "")
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        user, _, password = _base64(token).partition(":")
        return user or "default", password
    if "user" in url or "password" in url:
        return url.get("user") or "default", url.get("password", "")
    return None


def query_id(url: Mapping[str, str]) -> str:
    """The client's id if it can stand in a header, or a new one."""
    given = url.get("query_id", "")
    return given if given.isascii() and given.isprintable() and 0 < len(given) <= 200 else str(uuid.uuid4())


def _form(content_type: str, body: bytes, url: Mapping[str, str]) -> dict[str, str]:
    form = BytesParser().parsebytes(b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n" + body)
    fields: dict[str, str] = {}
    for part in form.get_payload() if form.is_multipart() else []:
        if isinstance(part, Message):
            name = str(part.get_param("name", "", header="content-disposition"))
            if part.get_filename() is not None or f"{name}_structure" in url or f"{name}_types" in url:
                raise StoreError.clickhouse(48, "NOT_IMPLEMENTED", f"External tables are not supported: {name!r}.")
            fields[name] = _decoded(part.get_payload(decode=True))
    return fields


def _decoded(payload: object) -> str:
    return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def _base64(token: str) -> str:
    try:
        return b64decode(token).decode()
    except ValueError:
        return ""


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
