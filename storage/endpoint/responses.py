"""Results and errors as ClickHouse puts them into HTTP."""

from __future__ import annotations

import json
from dataclasses import dataclass

from starlette.responses import Response

from storage.endpoint import encoding, framing
from storage.endpoint.execute import Engine, Result
from storage.store import StoreError

_MIN_COMPRESSED_BYTES = 1024  # below this, compression that was not asked for by a parameter costs more than it saves

_BINARY = ("native", "rowbinary", "arrow", "parquet", "orc", "avro", "rawblob", "msgpack", "protobuf", "capnproto")
_CONTENT_TYPES = (
    ("json", "application/json; charset=UTF-8"),
    ("tabseparated", "text/tab-separated-values; charset=UTF-8"),
    ("tsv", "text/tab-separated-values; charset=UTF-8"),
    ("csv", "text/csv; charset=UTF-8"),
    ("xml", "application/xml; charset=UTF-8"),
    *((name, "application/octet-stream") for name in _BINARY),
)

# As in ClickHouse's HTTP handler: what the client can mend is 4xx. Codes that are not listed are 500.
_STATUS = {
    **dict.fromkeys((6, 26, 27, 32, 33, 36, 38, 41, 42, 43, 53, 62, 69, 70, 72, 117, 130, 456, 457), 400),
    **dict.fromkeys((40, 89, 271), 400),
    **dict.fromkeys((164, 192, 193, 497, 516), 403),
    194: 401,
    **dict.fromkeys((16, 46, 47, 50, 56, 60, 73, 81, 115), 404),
    159: 408,
    209: 408,
    307: 413,
    48: 501,
    202: 503,
    236: 503,
}


@dataclass(frozen=True)
class Wish:
    """How the client wants its response: in ClickHouse frames, or with an HTTP encoding ('' for none)."""

    framed: bool
    encoding: str
    always_encode: bool

    def pack(self, body: bytes) -> tuple[bytes, str]:
        """The body and its Content-Encoding."""
        if self.framed:
            return framing.frame(body), ""
        if self.encoding and body and (self.always_encode or len(body) >= _MIN_COMPRESSED_BYTES):
            return encoding.encode(self.encoding, body), self.encoding
        return body, ""


def success(result: Result, wish: Wish, engine: Engine, query_id: str, elapsed_ns: int) -> Response:
    body, content_encoding = wish.pack(result.body)
    response = Response(body, media_type=_content_type(result.fmt), headers=_headers(engine, query_id))
    if result.fmt:
        response.headers["X-ClickHouse-Format"] = result.fmt
    if content_encoding:
        response.headers["Content-Encoding"] = content_encoding
        response.headers["Vary"] = "Accept-Encoding"
    summary = {
        "read_rows": "0",
        "read_bytes": "0",
        "written_rows": str(result.written_rows),
        "written_bytes": "0",
        "total_rows_to_read": "0",
        "result_rows": "0",
        "result_bytes": str(len(result.body)),
        "elapsed_ns": str(elapsed_ns),
    }
    response.headers["X-ClickHouse-Summary"] = json.dumps(summary, separators=(",", ":"))
    return response


def failure(error: StoreError, wish: Wish, engine: Engine, query_id: str) -> Response:
    """The text that drivers and rotel look for: code, message, name and version, one line end."""
    text = f"{error.message} (version {engine.version} (official build))\n".encode()
    headers = _headers(engine, query_id)
    headers["X-ClickHouse-Exception-Code"] = str(error.code)
    status = _STATUS.get(error.code, 500)
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="ClickHouse server HTTP API"'
    # clickhouse-go takes errors out of frames too when it asked for frames.
    body = framing.frame(text) if wish.framed else text
    return Response(body, status, headers, media_type="text/plain; charset=UTF-8")


def _headers(engine: Engine, query_id: str) -> dict[str, str]:
    return {
        "X-ClickHouse-Query-Id": query_id,
        "X-ClickHouse-Timezone": engine.timezone,
        "X-ClickHouse-Server-Display-Name": engine.display_name,
    }


def _content_type(fmt: str) -> str:
    lowered = fmt.lower()
    return next((kind for prefix, kind in _CONTENT_TYPES if lowered.startswith(prefix)), "text/plain; charset=UTF-8")
