"""A spool whose disk has changed bytes: what can be read stays, what cannot is set aside, and what is lost is named.

A damaged file is rewritten with its good records, byte for byte. The ranges that no record covers go to `N.damaged`
beside it, one behind the other, for whoever wants to look at them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.envelope import unwrap
from collector.protobuf import WireError
from collector.signals import Signal
from collector.spool.cipher import Cipher
from collector.spool.lock import DirectoryLock
from collector.spool.recovery import settled_in
from collector.spool.segment import (
    HEADER_BYTES,
    RECORD_BYTES,
    SUFFIX,
    Header,
    Record,
    Scan,
    SpoolError,
    read_payload,
    scan,
    write_all,
)
from storage.disk import fsync_directory

DAMAGED_SUFFIX = ".damaged"
_DRAFT_SUFFIX = ".repaired"
_SIGNALS = tuple(Signal)


@dataclass(frozen=True)
class Loss:
    """What is gone from the file `path`: the (start, end) of the bytes, the records, and their request ids as (first,
    last). `stored` are those of the records that were in the store already. With `open_end` there may have been further
    records at the end of the spool, of which nothing is known."""

    path: Path
    damaged: list[tuple[int, int]]
    records: list[int]
    stored: list[int]
    request_ids: list[tuple[int, int]]
    open_end: bool

    @property
    def requests(self) -> int:
        """How many requests were in the records."""
        return sum(last - first + 1 for first, last in self.request_ids)


def repair(directory: Path, cipher: Cipher) -> list[Loss]:
    """Make the spool in `directory` whole again; one Loss a damaged file. Safe to run again after an interruption.

    Raises SpoolError, also when a hub has the directory or its files were written with another key.
    """
    if not directory.is_dir():
        raise SpoolError(f"collector.spool.path: there is no spool in {directory}")
    lock = DirectoryLock(directory)
    try:
        return list(_repair(directory, cipher))
    except OSError as error:
        raise SpoolError(f"cannot repair {directory}: {error.strerror or error}") from error
    finally:
        lock.release()


def _repair(directory: Path, cipher: Cipher) -> Iterator[Loss]:
    files = [(path, scan(path)) for path in sorted(directory.glob(f"*{SUFFIX}"))]
    for path, found in files:
        if found.header is not None and found.header.key_id != cipher.key_id:
            raise SpoolError(f"{path} was written with another key: set collector.spool.key_file to that key")
    for place, (path, found) in enumerate(files):
        later = [each for _, each in files[place + 1 :]]
        # The last file may end in a torn record: that is no damage, and the next start drops it.
        if found.header is None or found.damaged or (found.torn_bytes and later):
            yield _repair_file(path, found, _start_of(later, cipher), cipher)


def _repair_file(path: Path, found: Scan, after: tuple[int, int] | None, cipher: Cipher) -> Loss:
    """`after` are the first sequence number and the first request id behind the file."""
    damaged = _damaged(found)
    gone = list(_gone(path, found, after, cipher))
    records = [number for first, last, _ in gone for number in range(first, last + 1)]
    settled = {record.sequence for record, request_ids in settled_in(path) if not request_ids}
    _set_aside(path, damaged)
    _rewrite(path, found, cipher)
    return Loss(
        path,
        damaged,
        records,
        [number for number in records if number in settled],
        [ids for _, _, ids in gone if ids is not None],
        open_end=after is None and found.torn_bytes > 0,
    )


def _gone(
    path: Path, found: Scan, after: tuple[int, int] | None, cipher: Cipher
) -> Iterator[tuple[int, int, tuple[int, int] | None]]:
    """The runs of sequence numbers that are missing: first, last, and the request ids in them where they are known."""
    sequence = found.header.first_sequence if found.header else int(path.stem)
    next_id = found.header.next_request_id if found.header else None
    for record in found.records:
        if record.sequence > sequence:
            yield sequence, record.sequence - 1, _range(next_id, _first_id(record, cipher))
        sequence, next_id = record.sequence + 1, record.next_request_id
    if after is not None and after[0] > sequence:
        yield sequence, after[0] - 1, _range(next_id, after[1])


def _range(first: int | None, end: int | None) -> tuple[int, int] | None:
    return (first, end - 1) if first is not None and end is not None and end > first else None


def _start_of(files: Sequence[Scan], cipher: Cipher) -> tuple[int, int] | None:
    """The first sequence number and request id of the first file that tells them."""
    for found in files:
        if found.header is not None:
            return found.header.first_sequence, found.header.next_request_id
        if found.records and (first_id := _first_id(found.records[0], cipher)) is not None:
            return found.records[0].sequence, first_id
    return None


def _first_id(record: Record, cipher: Cipher) -> int | None:
    try:
        data = cipher.open(read_payload(record), record.sequence.to_bytes(8, "little"))
        return next(unwrap(_SIGNALS[data[0]], data, 1)).request_id
    except (ValueError, WireError, StopIteration):
        return None


def _damaged(found: Scan) -> list[tuple[int, int]]:
    ranges = [*found.damaged, *([(found.end, found.size)] if found.torn_bytes else [])]
    return [(0, min(HEADER_BYTES, found.size)), *ranges] if found.header is None else ranges


def _set_aside(path: Path, damaged: list[tuple[int, int]]) -> None:
    """Behind what an earlier repair has found: bytes twice are better than bytes lost."""
    with path.open("rb") as source, path.with_suffix(DAMAGED_SUFFIX).open("ab") as target:
        os.chmod(target.fileno(), 0o600)
        for start, end in damaged:
            source.seek(start)
            target.write(source.read(end - start))
        target.flush()
        os.fsync(target.fileno())


def _rewrite(path: Path, found: Scan, cipher: Cipher) -> None:
    """The file with its good records only; without any header and record it goes."""
    header = found.header or _new_header(found, cipher)
    if header is None:
        path.unlink()
    else:
        draft = path.with_suffix(_DRAFT_SUFFIX)
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            write_all(fd, header.encode(), *_records(path, found))
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(draft, path)
    fsync_directory(path.parent)


def _new_header(found: Scan, cipher: Cipher) -> Header | None:
    first_id = _first_id(found.records[0], cipher) if found.records else None
    return Header(cipher.key_id, found.records[0].sequence, first_id) if first_id is not None else None


def _records(path: Path, found: Scan) -> Iterator[bytes]:
    with path.open("rb") as source:
        for record in found.records:
            source.seek(record.start - RECORD_BYTES)
            yield source.read(RECORD_BYTES + record.length)
