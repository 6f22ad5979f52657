"""Content-Encoding of a request body: gzip, deflate and zstd, inflated within a size limit."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from typing import Protocol

from receivers.intake import Refusal, Refused

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# A body may be several streams end to end; each costs a copy of what follows it.
_MAX_STREAMS = 16
# RFC 9659: a zstd content coding needs no window above 8 MB, and a larger one is memory for the asking.
_ZSTD_OPTIONS: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def inflate(body: bytes, encoding: str, limit: int, setting: str) -> bytes:
    """The body as the sender encoded it. Never holds more than `limit` bytes of output, which
    `setting` configures. Raises Refused: TOO_LARGE, BAD_ENCODING or UNSUPPORTED_ENCODING."""
    coding = encoding.strip().lower()
    if coding in ("", "identity"):
        return body
    if coding not in _DECOMPRESSORS:
        raise Refused(
            Refusal.UNSUPPORTED_ENCODING,
            f"Content-Encoding {encoding!r} is not supported. Send gzip, deflate, zstd or no encoding.",
        )
    try:
        return _inflate(_DECOMPRESSORS[coding], body, limit, setting)
    except (zlib.error, zstd.ZstdError, EOFError) as error:
        raise Refused(
            Refusal.BAD_ENCODING,
            f"The body is not valid {coding}, which its Content-Encoding names: {error}. "
            "Compress the body as the header says, or send it without the header.",
        ) from None


def _inflate(make: Callable[[bytes], _Decompressor], body: bytes, limit: int, setting: str) -> bytes:
    streams: list[bytes] = []
    size = 0
    while body:
        if len(streams) == _MAX_STREAMS:
            raise EOFError(f"more than {_MAX_STREAMS} compressed streams in one body")
        decompressor = make(body)
        streams.append(decompressor.decompress(body, limit - size + 1))
        size += len(streams[-1])
        if size > limit:
            raise too_large("after decompression", limit, setting)
        if not decompressor.eof:
            raise EOFError(f"it ends early, after {size} bytes of content")
        body = decompressor.unused_data
    return streams[0] if len(streams) == 1 else b"".join(streams)


def too_large(what: str, limit: int, setting: str) -> Refused:
    return Refused(
        Refusal.TOO_LARGE,
        f"The request is larger than {limit} bytes {what}. Send fewer records a request "
        f"(OTEL_BSP_MAX_EXPORT_BATCH_SIZE), or raise {setting}.",
    )


def _gzip(body: bytes) -> _Decompressor:
    return zlib.decompressobj(wbits=31)


def _deflate(body: bytes) -> _Decompressor:
    """RFC 9110 means the zlib format; some senders leave its two-byte header out."""
    has_header = len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    return zlib.decompressobj(wbits=15 if has_header else -15)


def _zstd(body: bytes) -> _Decompressor:
    return zstd.ZstdDecompressor(options=_ZSTD_OPTIONS)


_DECOMPRESSORS: dict[str, Callable[[bytes], _Decompressor]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zstd": _zstd,
}
