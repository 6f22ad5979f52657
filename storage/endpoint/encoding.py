"""HTTP content encodings: Content-Encoding of requests, Accept-Encoding of responses."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import lz4.frame

from storage.endpoint.zstandard import zstd
from storage.store import StoreError

_GZIP_WBITS = 16 + zlib.MAX_WBITS
_CHUNK = 1 << 20
_TOO_LARGE = "larger than max_body_bytes"

_ENCODERS: dict[str, Callable[[bytes], bytes]] = {  # in ClickHouse's order of preference
    "lz4": lz4.frame.compress,
    "zstd": lambda data: zstd.compress(data, level=1),
    "gzip": lambda data: _zlib_compress(data, _GZIP_WBITS),
    "deflate": lambda data: _zlib_compress(data, zlib.MAX_WBITS),
}
_DECODERS: dict[str, Callable[[], Any]] = {
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": zstd.ZstdDecompressor,
    "gzip": lambda: zlib.decompressobj(_GZIP_WBITS),
    "deflate": lambda: zlib.decompressobj(zlib.MAX_WBITS),
}


def choose(accept: str) -> str:
    """The encoding for a response to `Accept-Encoding: accept`, '' for none."""
    offered = set()
    for item in accept.lower().split(","):
        name, _, weight = item.partition(";")
        if weight.strip().replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            offered.add(name.strip())
    return next((name for name in _ENCODERS if name in offered), "")


def encode(name: str, data: bytes) -> bytes:
    """`data` in an encoding that `choose` returned."""
    return _ENCODERS[name](data) if name else data


def decode(name: str, data: bytes, limit: int) -> bytes:
    """A request body without its Content-Encoding; raises StoreError when it is damaged, unknown or over `limit`."""
    name = name.strip().lower()
    if name in ("", "identity"):
        return data
    if name not in _DECODERS:
        raise StoreError.clickhouse(
            89, "UNKNOWN_COMPRESSION_METHOD", f"Unknown Content-Encoding {name!r}: use {', '.join(_DECODERS)}."
        )
    try:
        return _inflate(_DECODERS[name], data, limit)
    except (zlib.error, RuntimeError, EOFError, zstd.ZstdError) as error:
        raise StoreError.clickhouse(271, "CANNOT_DECOMPRESS", f"Cannot decompress the {name} body: {error}.") from error


def _inflate(new: Callable[[], Any], data: bytes, limit: int) -> bytes:
    parts: list[bytes] = []
    total = 0
    while data:  # several members or frames may follow each other
        data, members = _member(new(), data, limit - total)
        parts.extend(members)
        total += sum(map(len, members))
    return b"".join(parts)


def _member(decoder: Any, data: bytes, room: int) -> tuple[bytes, list[bytes]]:
    """One member, inflated in steps so that a small body cannot become a large one before it is refused."""
    parts: list[bytes] = []
    while True:
        part = decoder.decompress(data, _CHUNK)
        parts.append(part)
        room -= len(part)
        if room < 0:
            raise StoreError.clickhouse(307, "TOO_MANY_BYTES", f"The decompressed request is {_TOO_LARGE}.")
        if decoder.eof:
            return bytes(decoder.unused_data or b""), parts
        data = getattr(decoder, "unconsumed_tail", b"")
        if not part and not data:
            raise EOFError("it is cut short")


def _zlib_compress(data: bytes, wbits: int) -> bytes:
    encoder = zlib.compressobj(1, zlib.DEFLATED, wbits)
    return encoder.compress(data) + encoder.flush()
