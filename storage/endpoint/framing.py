"""ClickHouse's own block framing, which `compress=1` and `decompress=1` ask for.

A frame is a 16-byte CityHash128 (version 1.0.2) of the rest, one method byte, the size of method byte, sizes and
data (u32), the size of the raw data (u32), the data. Little endian throughout.
"""

from __future__ import annotations

import struct

import lz4.block
from clickhouse_cityhash import cityhash

from storage.endpoint.zstandard import zstd
from storage.store import StoreError

FRAME_BYTES = 1 << 20  # raw bytes in a frame that we write; ClickHouse's max_compress_block_size

_HEADER = struct.Struct("<BII")
_CHECKSUM_BYTES = 16
_NONE, _LZ4, _ZSTD = 0x02, 0x82, 0x90


def frame(data: bytes) -> bytes:
    """`data` as LZ4 frames; nothing stays nothing."""
    return b"".join(_frame(data[at : at + FRAME_BYTES]) for at in range(0, len(data), FRAME_BYTES))


def unframe(data: bytes, limit: int) -> bytes:
    """The raw bytes in the frames; raises StoreError for damage and for more than `limit` bytes."""
    parts: list[bytes] = []
    total = at = 0
    while at < len(data):
        part, at = _unframe(data, at, limit - total)
        parts.append(part)
        total += len(part)
    return b"".join(parts)


def _frame(raw: bytes) -> bytes:
    packed: bytes = lz4.block.compress(raw, store_size=False)
    body = _HEADER.pack(_LZ4, _HEADER.size + len(packed), len(raw)) + packed
    return _checksum(body) + body


def _unframe(data: bytes, at: int, room: int) -> tuple[bytes, int]:
    start = at + _CHECKSUM_BYTES
    if start + _HEADER.size > len(data):
        raise _damaged("a frame is cut short")
    method, size, raw_size = _HEADER.unpack_from(data, start)
    if size < _HEADER.size or start + size > len(data):
        raise _damaged("a frame is cut short")
    if raw_size > room:
        raise StoreError.clickhouse(307, "TOO_MANY_BYTES", "The decompressed request is larger than max_body_bytes.")
    if _checksum(data[start : start + size]) != data[at:start]:
        raise StoreError.clickhouse(40, "CHECKSUM_DOESNT_MATCH", "Checksum doesn't match: corrupted data.")
    raw = _unpack(method, data[start + _HEADER.size : start + size], raw_size)
    if len(raw) != raw_size:
        raise _damaged("a frame does not hold as much as it says")
    return raw, start + size


def _unpack(method: int, packed: bytes, raw_size: int) -> bytes:
    try:
        if method == _NONE:
            return bytes(packed)
        if method == _LZ4:
            return bytes(lz4.block.decompress(packed, uncompressed_size=raw_size))
        if method == _ZSTD:
            return zstd.ZstdDecompressor().decompress(packed, max_length=raw_size)
    except (lz4.block.LZ4BlockError, zstd.ZstdError) as error:
        raise _damaged(str(error)) from error
    raise StoreError.clickhouse(89, "UNKNOWN_COMPRESSION_METHOD", f"Unknown codec family code: {method}.")


def _checksum(body: bytes) -> bytes:
    value: int = cityhash.CityHash128(body)
    return struct.pack("<QQ", value >> 64, value & 0xFFFFFFFFFFFFFFFF)


def _damaged(reason: str) -> StoreError:
    return StoreError.clickhouse(271, "CANNOT_DECOMPRESS", f"Cannot decompress the request: {reason}.")
