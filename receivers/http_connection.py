"""One HTTP/1.1 connection, with the limits that uvicorn leaves to a proxy in front: how long and how large what is no
body may be, and how many connections there are."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from receivers.rate_limited_log import RateLimitedLog

log = logging.getLogger(__name__)

HEAD_SECONDS = 20.0
# Of line, headers and trailers. The chunk that a head begins in is not counted, so it is a few hundred kilobytes at most.
HEAD_BYTES = 64 * 1024

_HTTP_2 = b"PRI * HTTP/2"
_TLS_HANDSHAKE = b"\x16\x03"


class HttpConnection(HttpToolsProtocol):
    """`setting` is the one that has the address, and what the log and the answers name."""

    def __init__(self, *args: Any, setting: str, max_connections: int, warnings: RateLimitedLog, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._setting = setting
        self._max_connections = max_connections
        self._warnings = warnings
        self._first = b""
        self._in_head = True
        self._began = False
        self._surplus = 0  # bytes since the request began, less twice those of its body: chunks have a frame each
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._max_connections:
            self._warnings.warning("connections", f"{self._setting}: {self._max_connections} connections are open, more are closed")  # fmt: skip
            transport.abort()
            return
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._first = self._first or data[:16]
        self._began = False
        super().data_received(data)
        if not self._began:
            self._surplus += len(data)
        if self._surplus > HEAD_BYTES and not self.transport.is_closing():
            self._refuse("431 Request Header Fields Too Large", f"The headers are larger than {HEAD_BYTES} bytes. Send data in the body.")  # fmt: skip
        self._watch_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = self._began = True
        self._surplus = 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._surplus -= 2 * len(body)
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        self._refuse("400 Bad Request", self._explained())

    def _watch_head(self) -> None:
        if not self._in_head or self.transport.is_closing():
            self._forget_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _head_is_late(self) -> None:
        self._refuse("408 Request Timeout", f"The headers did not arrive within {HEAD_SECONDS:g} s. Send the request again.")  # fmt: skip

    def _explained(self) -> str:
        if self._first.startswith(_HTTP_2):
            return f"HTTP/2 came to {self._setting}, which speaks HTTP/1.1. OTLP over gRPC goes to receivers.otlp_grpc.listen (4317)."
        if self._first.startswith(_TLS_HANDSHAKE):
            return f"TLS came to {self._setting}, which speaks plain HTTP. Send to http:// instead of https://, or set the TLS files of the receiver."
        return f"This is no valid HTTP/1.1 request. {self._setting} takes nothing else."

    def _refuse(self, status: str, text: str) -> None:
        # Anybody who reaches the port can cause these, so a few lines must do.
        self._warnings.warning(status + text, text, client=self.client[0] if self.client else "")
        body = f"{text}\n".encode()
        head = f"HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()


class _NotTwice(logging.Filter):
    """What a connection refuses it logs itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg != "Invalid HTTP request received."


logging.getLogger("uvicorn.error").addFilter(_NotTwice())
