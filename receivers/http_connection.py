"""One HTTP/1.1 connection, with the limits that uvicorn leaves to a proxy in front: how long and how large what is no
body may be, and how many connections there are."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import httptools
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
        self._data = self._again = b""  # what the parser is given, and what it is given after that
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
        self._feed(data)
        if not self._began:
            self._surplus += len(data)
        if self._surplus > HEAD_BYTES and not self.transport.is_closing():
            self._refuse("431 Request Header Fields Too Large", f"The headers are larger than {HEAD_BYTES} bytes. Send data in the body.")  # fmt: skip
        self._watch_head()
        self._watch_rest()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = self._began = True
        self._surplus = 0

    def on_headers_complete(self) -> None:
        if not self._offers_protocol():
            self._in_head = False
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self._offers_protocol():
            super().on_message_complete()

    def on_body(self, body: bytes) -> None:
        self._surplus -= 2 * len(body)
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        self._refuse("400 Bad Request", self._explained())

    def _feed(self, data: bytes) -> None:
        self._again = data
        while self._again:
            self._data, self._again = self._again, b""
            super().data_received(self._data)
        self._data = b""

    def _offers_protocol(self) -> bool:
        """Whether the client offers to go on in a protocol that this server does not speak here, HTTP/2 say."""
        return self.parser.should_upgrade() and not self._should_upgrade()

    def _unsupported_upgrade_warning(self) -> None:
        """An offer may be ignored (RFC 9110, 7.8), and the request that makes it is one as any other. But the parser stops
        behind its headers: another one gets these again, without the offer, and what follows them."""
        if self.parser.get_method() == b"CONNECT":
            self._refuse("405 Method Not Allowed", f"{self._setting} is no proxy.")
            return
        end = sys.exc_info()[1].args[0]  # type: ignore[union-attr]
        rest = self._data[end:]
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._again = b"\r\n".join([*lines, b"", rest])

    def _watch_rest(self) -> None:
        """uvicorn waits without end for the rest of a request that was answered before it was there."""
        answered = self.cycle is not None and self.cycle.response_complete
        if answered and not self._in_head and self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

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
