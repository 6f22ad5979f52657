"""A proxy before a ClickHouse HTTP port that makes trouble on purpose."""

from __future__ import annotations

import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


class Fault(StrEnum):
    REFUSE = "refuses connections"
    HANG = "hangs"
    CUT_REQUEST = "cuts the connection in the middle of a batch"
    CUT_ANSWER = "commits and cuts the connection before the answer"
    ERROR = "answers with an error"
    ERROR_AFTER_COMMIT = "commits and answers with an error"
    BAD_GATEWAY = "is behind a balancer that finds it no more"


_ERRORS = (
    b"Code: 252. DB::Exception: Too many parts (300). Merges are processing significantly slower than inserts. (TOO_MANY_PARTS)",
    b"Code: 241. DB::Exception: Memory limit (total) exceeded. (MEMORY_LIMIT_EXCEEDED)",
    b"Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)",
    b"Code: 242. DB::Exception: Table is in readonly mode. (TABLE_IS_READ_ONLY)",
)


class FaultProxy:
    """Listens on a port of its own before `host:port`. Thread-safe. What it does to a request, `fault` says for each:
    None passes it on. `hits` counts what has happened."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.fault: Callable[[], Fault | None] = lambda: None
        self.hits: Counter[Fault] = Counter()
        self._release = threading.Event()
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def during(self, fault: Callable[[], Fault | None]) -> _During:
        """A context in which every request meets `fault`. What hangs is cut off at its end."""
        return _During(self, fault)

    def release(self) -> None:
        self._release.set()

    def hang(self) -> None:
        self._release.wait(600)

    def begin(self, fault: Callable[[], Fault | None]) -> None:
        self._release.clear()
        self.fault = fault

    def close(self) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()


class _During:
    def __init__(self, proxy: FaultProxy, fault: Callable[[], Fault | None]) -> None:
        self._proxy = proxy
        self._fault = fault

    def __enter__(self) -> None:
        self._proxy.begin(self._fault)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:  # fmt: skip
        self._proxy.fault = lambda: None
        self._proxy.release()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, proxy: FaultProxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy

    def verify_request(self, request: object, client_address: object) -> bool:
        """A connection that is turned away at once is what a port without a listener looks like."""
        if self.proxy.fault() is not Fault.REFUSE:
            return True
        self.proxy.hits[Fault.REFUSE] += 1
        assert isinstance(request, socket.socket)
        _reset(request)
        return False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no news here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        proxy = self.server.proxy
        body = self._body()
        fault = proxy.fault()
        if fault is None:
            self._answer(*self._forward(body))
            return
        proxy.hits[fault] += 1
        if fault is Fault.HANG:
            proxy.hang()
        elif fault is Fault.CUT_REQUEST:
            self._forward_half(body)
        elif fault in (Fault.CUT_ANSWER, Fault.ERROR_AFTER_COMMIT):
            self._forward(body)
        if fault in (Fault.ERROR, Fault.ERROR_AFTER_COMMIT):
            text = _ERRORS[proxy.hits[fault] % len(_ERRORS)]
            self._answer(500, {"X-ClickHouse-Exception-Code": text[6:9].decode()}, text)
        elif fault is Fault.BAD_GATEWAY:
            self._answer(502, {"Content-Type": "text/html"}, b"<html><h1>502 Bad Gateway</h1></html>")
        else:
            self.close_connection = True
            _reset(self.connection)

    def log_message(self, format: str, *args: object) -> None:
        """Not here."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _sent(self, size: int) -> HTTPConnection:
        connection = HTTPConnection(self.server.proxy.upstream, timeout=60)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        return connection

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        try:
            connection = self._sent(len(body))
            connection.send(body)
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, HTTPException):  # it has been killed, say
            self.close_connection = True
            return 502, {}, b"<html><h1>502 Bad Gateway</h1></html>"
        finally:
            connection.close()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
        return answer.status, kept, data

    def _forward_half(self, body: bytes) -> None:
        try:
            connection = self._sent(len(body))
            connection.send(body[: len(body) // 2])
            connection.close()
        except OSError:
            pass

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


_HOP_BY_HOP = ("transfer-encoding", "content-length", "connection", "server", "date", "keep-alive")


def _reset(connection: socket.socket) -> None:
    """RST instead of FIN: the other side loses what is under way."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
