"""A unary gRPC client that costs little: HTTP/2 frames written as they are, for one method and bytes that are ready.

It expects an honest server and does no more than a load generator needs: no TLS, no retries, no CONTINUATION.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from typing import cast
from urllib.parse import unquote

import hpack

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _WINDOW = 0x0, 0x1, 0x3, 0x4, 0x6, 0x8
_END_STREAM, _ACK, _END_HEADERS = 0x1, 0x1, 0x4
_MAX_CALLS, _INITIAL_WINDOW, _MAX_FRAME = 0x3, 0x4, 0x5
_MAX_WINDOW = (1 << 31) - 1
_GRANT_BYTES = 1 << 20


class _Call:
    """A request that is under way; `left` is what of it has not been sent, `window` what its stream may send."""

    def __init__(self, message: bytes, answer: asyncio.Future[str], stop_after: int | None) -> None:
        self.stream = self.window = 0
        self.left = memoryview(b"\0" + len(message).to_bytes(4) + message)[:stop_after]
        self.answer = answer
        self.answered_bytes = 0
        self.ends = stop_after is None


class GrpcSender(asyncio.Protocol):
    """One connection. `await send(message)` is '' when the answer is OK and empty, else what went wrong.

    With `stop_after`, no more than the first so many bytes of each message are sent.
    """

    def __init__(self, method: str, authority: str, stop_after: int | None = None) -> None:
        self._stop_after = stop_after
        self._headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", method),
            (":authority", authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
        ]
        self._decoder = hpack.Decoder()
        self._decoded: dict[bytes, dict[str, str]] = {}
        self._block = b""
        self._streams = iter(range(1, _MAX_WINDOW, 2))
        self._calls: dict[int, _Call] = {}
        self._waiting: deque[_Call] = deque()
        self._sending: deque[_Call] = deque()
        self._max_calls = _MAX_WINDOW
        self._window = self._stream_window = 65_535
        self._max_frame = 16_384
        self._output: list[bytes | memoryview] = []
        self._flushing = False
        self._input = b""
        self._ungranted = 0
        self._loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = self._loop.create_future()

    def close(self) -> None:
        self._transport.close()

    def send(self, message: bytes) -> asyncio.Future[str]:
        return self._send(_Call(message, self._loop.create_future(), self._stop_after))

    def send_framed(self, framed: bytes) -> asyncio.Future[str]:
        """Send these bytes as the body of a call, whether they are a message or not."""
        call = _Call(b"", self._loop.create_future(), None)
        call.left = memoryview(framed)
        return self._send(call)

    def _send(self, call: _Call) -> asyncio.Future[str]:
        if len(self._calls) < self._max_calls:
            self._open(call)
        else:
            self._waiting.append(call)
        return call.answer

    def _open(self, call: _Call) -> None:
        call.stream, call.window = next(self._streams), self._stream_window
        self._calls[call.stream] = call
        self._write(_frame(_HEADERS, _END_HEADERS, call.stream, self._block))
        self._sending.append(call)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's do not inherit from it
        # No dynamic table: a block is the same bytes for every call.
        self._block = b"".join(_literal(name, value) for name, value in self._headers)
        self._write(_PREFACE + _frame(_SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW, _MAX_WINDOW)))
        self._write(_frame(_WINDOW, 0, 0, (_MAX_WINDOW - 65_535).to_bytes(4)))

    def connection_lost(self, error: Exception | None) -> None:
        for call in (*self._calls.values(), *self._waiting):
            if not call.answer.done():
                call.answer.set_result("the connection was lost")

    def data_received(self, data: bytes) -> None:
        data = self._input + data if self._input else data
        at = 0
        while len(data) - at >= 9:
            end = at + 9 + int.from_bytes(data[at : at + 3])
            if end > len(data):
                break
            self._take(data[at + 3], data[at + 4], int.from_bytes(data[at + 5 : at + 9]), data[at + 9 : end])
            at = end
        self._input = data[at:]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _HEADERS:
            headers = self._decode(payload)
            if flags & _END_STREAM:
                self._end(stream, _verdict(headers, self._calls[stream]) if stream in self._calls else "")
        elif kind == _DATA:
            self._count(stream, len(payload))
        elif kind == _WINDOW:
            self._grow(stream, int.from_bytes(payload))
        elif kind == _SETTINGS and not flags & _ACK:
            self._apply(payload)
        elif kind == _PING and not flags & _ACK:
            self._write(_frame(_PING, _ACK, 0, payload))
        elif kind == _RESET:
            self._end(stream, f"reset with HTTP/2 error {int.from_bytes(payload)}")

    def _decode(self, block: bytes) -> dict[str, str]:
        headers = self._decoded.get(block)
        if headers is None:
            headers = {str(name): str(value) for name, value in self._decoder.decode(block)}
            if all(octet & 0x80 for octet in block):
                self._decoded[block] = headers  # only indexes: it leaves the table as it is
            else:
                self._decoded.clear()
        return headers

    def _end(self, stream: int, verdict: str) -> None:
        call = self._calls.pop(stream, None)
        if call and not call.answer.done():
            call.left = call.left[:0]
            call.answer.set_result(verdict)
        if self._waiting and len(self._calls) < self._max_calls:
            self._open(self._waiting.popleft())

    def _count(self, stream: int, size: int) -> None:
        if call := self._calls.get(stream):
            call.answered_bytes += size
        self._ungranted += size
        if self._ungranted > _GRANT_BYTES:
            self._write(_frame(_WINDOW, 0, 0, self._ungranted.to_bytes(4)))
            self._ungranted = 0

    def _grow(self, stream: int, size: int) -> None:
        if stream == 0:
            self._window += size
        elif call := self._calls.get(stream):
            call.window += size
        self._wake()

    def _apply(self, settings: bytes) -> None:
        for key, value in struct.iter_unpack(">HI", settings):
            if key == _MAX_CALLS:
                self._max_calls = value
            elif key == _MAX_FRAME:
                self._max_frame = value
            elif key == _INITIAL_WINDOW:
                for call in self._calls.values():
                    call.window += value - self._stream_window
                self._stream_window = value
        self._write(_frame(_SETTINGS, _ACK, 0))
        if not self.ready.done():
            self.ready.set_result(None)

    def _write(self, data: bytes) -> None:
        self._output.append(data)
        self._wake()

    def _wake(self) -> None:
        """One system call for all that one turn of the event loop has to say."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        for _ in range(len(self._sending)):
            call = self._sending.popleft()
            self._send_data(call)
            if call.left:
                self._sending.append(call)
            if self._window <= 0:
                break
        if self._output:
            self._transport.write(b"".join(self._output))
            self._output.clear()

    def _send_data(self, call: _Call) -> None:
        while call.left and (size := min(len(call.left), self._max_frame, self._window, call.window)) > 0:
            last = call.ends and size == len(call.left)
            self._output.append(_head(size, _DATA, _END_STREAM if last else 0, call.stream))
            self._output.append(call.left[:size])
            call.left = call.left[size:]
            self._window -= size
            call.window -= size


async def connect(target: str, method: str, stop_after: int | None = None) -> GrpcSender:
    """A connection to 'host:port' that is ready to send."""
    host, _, port = target.rpartition(":")
    loop = asyncio.get_running_loop()
    _, sender = await loop.create_connection(lambda: GrpcSender(method, target, stop_after), host, int(port))
    await sender.ready
    return sender


def _verdict(headers: dict[str, str], call: _Call) -> str:
    status = headers.get("grpc-status", "none")
    if status != "0":
        return f"status {status}: {unquote(headers.get('grpc-message', ''))}"
    # An Export response is empty unless it carries partial_success.
    return "partial success" if call.answered_bytes > 5 else ""


def _head(size: int, kind: int, flags: int, stream: int) -> bytes:
    return size.to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4)


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return _head(len(payload), kind, flags, stream) + payload


def _literal(name: str, value: str) -> bytes:
    """RFC 7541 6.2.2, for texts of less than 127 bytes."""
    return b"\0" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()
