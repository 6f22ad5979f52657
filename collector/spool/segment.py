"""One file of the spool: a header, then records that are only ever appended.

    header   magic, key id, first sequence number, next request id, CRC-32 of these
    record   marker, kind, sequence number, sequence number of its batch, unix time in ms, next request id, length,
             CRC-32 of the payload, CRC-32 of these; payload

`N.spool` holds requests, sealed. A batch is one record or several: it has the sequence number of its first one.
`N.settled` beside it names the records that are in the store; where the payload lists request ids, only these of the
record are. All integers are little-endian. A record is torn when the process or the machine died while it was being written: it is
the last thing in the file then, and nobody was told that it is safe. Anything else that does not check is damage.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

from collector.spool.cipher import KEY_ID_BYTES
from storage.disk import fsync_directory

SUFFIX = ".spool"
SETTLED_SUFFIX = ".settled"
_MAGIC = b"LLMHUB\x02\n"
_HEADER = struct.Struct(f"<8s{KEY_ID_BYTES}sQQ")
_MARKER = b"\xf5BR\x1a"
_RECORD = struct.Struct("<4sBQQQQQI")
_CRC = struct.Struct("<I")
HEADER_BYTES = _HEADER.size + _CRC.size
RECORD_BYTES = _RECORD.size + _CRC.size


class SpoolError(Exception):
    """The spool cannot be written or read; str() says why and what to do."""


class SpoolDamaged(SpoolError):
    """A file has bytes that cannot be read and are not the torn end of a crash."""


class Kind(IntEnum):
    BATCH = 1
    SETTLED = 2


@dataclass(frozen=True)
class Header:
    key_id: bytes
    first_sequence: int
    next_request_id: int

    def encode(self) -> bytes:
        data = _HEADER.pack(_MAGIC, self.key_id, self.first_sequence, self.next_request_id)
        return data + _CRC.pack(zlib.crc32(data))


@dataclass(frozen=True)
class Label:
    """What a record says of itself. `batch` is the sequence number of the first record of its batch, `next_request_id` the
    first one that was free after it."""

    kind: Kind
    sequence: int
    batch: int
    time_ms: int
    next_request_id: int

    def head(self, length: int, crc: int) -> bytes:
        """The bytes in front of a payload of `length` bytes."""
        head = _RECORD.pack(
            _MARKER, self.kind, self.sequence, self.batch, self.time_ms, self.next_request_id, length, crc
        )
        return head + _CRC.pack(zlib.crc32(head))


@dataclass(frozen=True)
class Record(Label):
    """A record of `path`; `start` is where its payload of `length` bytes begins."""

    path: Path
    start: int
    length: int

    @property
    def end(self) -> int:
        return self.start + self.length


@dataclass(frozen=True)
class Scan:
    """What is in a file. `end` is where its last good record ends; `damaged` are (start, end) that no record covers."""

    header: Header | None
    records: list[Record]
    end: int
    size: int
    damaged: list[tuple[int, int]]

    @property
    def torn_bytes(self) -> int:
        return self.size - self.end


def encode_record(label: Label, payload: bytes) -> bytes:
    return label.head(len(payload), zlib.crc32(payload)) + payload


def write_record(fd: int, start: int, label: Label, payload: Iterable[bytes]) -> int:
    """Write a record at `start`, the end of the file, without having all of its payload in memory. Returns where it ends."""
    length = crc = 0
    os.lseek(fd, start + RECORD_BYTES, os.SEEK_SET)
    for part in payload:
        write_all(fd, part)
        length += len(part)
        crc = zlib.crc32(part, crc)
    os.lseek(fd, start, os.SEEK_SET)
    write_all(fd, label.head(length, crc))
    return start + RECORD_BYTES + length


def scan(path: Path) -> Scan:
    """Read all of `path` and check every record; raises nothing but OSError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header = _header(file.read(HEADER_BYTES))
        records: list[Record] = []
        damaged: list[tuple[int, int]] = []
        end = HEADER_BYTES
        position = HEADER_BYTES
        while (record := _next(file, path, position, size)) is not None:
            if record.start - RECORD_BYTES > end:
                damaged.append((end, record.start - RECORD_BYTES))
            records.append(record)
            end = position = record.end
    return Scan(header, records, min(end, size), size, damaged)


def read_payload(record: Record) -> bytes:
    """Raises SpoolDamaged when the payload is not what was written, SpoolError when the file cannot be read."""
    try:
        with record.path.open("rb") as file:
            file.seek(record.start - RECORD_BYTES)
            head = file.read(RECORD_BYTES)
            payload = file.read(record.length)
    except OSError as error:
        raise SpoolError(f"cannot read {record.path}: {error.strerror or error}") from error
    if record.head(len(payload), zlib.crc32(payload)) != head:
        raise SpoolDamaged(f"{record.path}: record {record.sequence} has changed on disk. Run `llmhub spool repair`")
    return payload


def _header(data: bytes) -> Header | None:
    if len(data) < HEADER_BYTES or zlib.crc32(data[: _HEADER.size]) != _CRC.unpack(data[_HEADER.size :])[0]:
        return None
    magic, key_id, first_sequence, next_request_id = _HEADER.unpack(data[: _HEADER.size])
    return Header(key_id, first_sequence, next_request_id) if magic == _MAGIC else None


def _next(file: BinaryIO, path: Path, position: int, size: int) -> Record | None:
    """The next good record at `position` or, when there is none, behind it."""
    if (record := _record_at(file, path, position, size)) is not None:
        return record
    for candidate in _markers(file, position + 1, size):
        if (record := _record_at(file, path, candidate, size)) is not None:
            return record
    return None


def _record_at(file: BinaryIO, path: Path, position: int, size: int) -> Record | None:
    file.seek(position)
    head = file.read(RECORD_BYTES)
    if len(head) < RECORD_BYTES or zlib.crc32(head[: _RECORD.size]) != _CRC.unpack(head[_RECORD.size :])[0]:
        return None
    marker, kind, sequence, batch, time_ms, next_id, length, crc = _RECORD.unpack(head[: _RECORD.size])
    start = position + RECORD_BYTES
    if marker != _MARKER or start + length > size or zlib.crc32(file.read(length)) != crc:
        return None
    return Record(Kind(kind), sequence, batch, time_ms, next_id, path, start, length)


def _markers(file: BinaryIO, position: int, size: int) -> Iterator[int]:
    """Where a record may begin: wherever the marker is found from `position` on."""
    window = 1 << 20
    while position < size:
        file.seek(position)
        data = file.read(window)
        at = data.find(_MARKER)
        while at >= 0:
            yield position + at
            at = data.find(_MARKER, at + 1)
        position += max(len(data) - len(_MARKER) + 1, 1)


def write_all(fd: int, *parts: bytes) -> None:
    """Write `parts` one behind the other; a disk that fills up takes only some of what one `write` offers."""
    for part in parts:
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(fd, rest) :]


def create(path: Path, header: Header) -> int:
    """A new file with `header`, complete or not at all; returns its descriptor, open for writing."""
    draft = path.with_suffix(".new")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        write_all(fd, header.encode())
        os.fsync(fd)
        os.replace(draft, path)
        fsync_directory(path.parent)
    except BaseException:
        os.close(fd)
        raise
    return fd
