"""Unary gRPC on ASGI: one message in, one message or a status out.

Spec: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import quote

from receivers.content_encoding import inflate, too_large
from receivers.intake import Refusal, Refused
from receivers.intake_budget import Lease
from receivers.otlp_response import Failure
from receivers.threads import decode

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_PREFIX_BYTES = 5
# gzip and deflate are what gRPC libraries offer; zstd costs nothing to take as well.
_ENCODINGS = ("gzip", "deflate", "zstd")
_START: dict[str, Any] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/grpc"), (b"grpc-accept-encoding", b"identity,deflate,gzip,zstd")],
    "trailers": True,
}
_NO_BODY = {"type": "http.response.body", "body": b""}
_OK = {"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")]}


class Disconnected(Exception):
    """The caller has gone."""


async def read_message(receive: Receive, headers: Mapping[str, str], lease: Lease, limit: int, setting: str) -> bytes:
    """The one message of a unary call, inflated. Raises Refused or Disconnected."""
    event = await receive()
    framed = bytearray(event.get("body", b""))
    lease.grow(len(framed))
    while event.get("more_body"):
        _check_length(framed, limit, setting)
        event = await receive()
        part = event.get("body", b"")
        lease.grow(len(part))
        framed += part
    if event["type"] != "http.request":
        raise Disconnected
    length = _check_length(framed, limit, setting)
    if len(framed) != _PREFIX_BYTES + length:
        raise Refused(
            Refusal.BAD_ENCODING,
            f"The call carries {len(framed)} bytes and announces a message of {length}. Send one whole message a call.",
        )
    body = bytes(memoryview(framed)[_PREFIX_BYTES:])
    return await _inflate(body, headers.get("grpc-encoding", ""), limit, setting) if framed[0] else body


async def send_message(send: Send, message: bytes) -> None:
    await send(_START)
    await send({"type": "http.response.body", "body": b"\0" + len(message).to_bytes(4) + message})
    await send(_OK)


async def send_failure(send: Send, failure: Failure) -> None:
    trailers = [
        (b"grpc-status", str(failure.grpc_code.value[0]).encode()),
        (b"grpc-message", quote(failure.status.message, safe=" !\"#$&'()*+,/:;<=>?@[]^`{|}\\").encode()),
    ]
    for key, value in failure.grpc_metadata():
        trailers.append((key.encode(), base64.b64encode(value).rstrip(b"=")))
    await send(_START)
    await send(_NO_BODY)
    await send({"type": "http.response.trailers", "headers": trailers})


async def send_not_grpc(send: Send) -> None:
    """Not a status of gRPC: over plain HTTP that would be a 200, which reads as success."""
    text = b"This port speaks gRPC only. Send OTLP over HTTP to the port of receivers.otlp_http."
    await send({"type": "http.response.start", "status": 415, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text})


def _check_length(framed: bytearray, limit: int, setting: str) -> int:
    length = int.from_bytes(framed[1:_PREFIX_BYTES])
    if length > limit:
        raise too_large(f"(it has {length})", limit, setting)
    if len(framed) > _PREFIX_BYTES + limit:
        raise too_large("as sent", limit, setting)
    return length


async def _inflate(body: bytes, encoding: str, limit: int, setting: str) -> bytes:
    if encoding not in _ENCODINGS:
        raise Refused(
            Refusal.UNSUPPORTED_ENCODING,
            f"A compressed message with grpc-encoding {encoding!r} cannot be read. Send gzip, deflate or uncompressed.",
        )
    return await decode(len(body), inflate, body, encoding, limit, setting)
