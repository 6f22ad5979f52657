"""The spool: what was accepted and is not yet known to be in the store."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import threading
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NoReturn

from collector.envelope import Envelope, unwrap, wrap
from collector.protobuf import WireError
from collector.signals import Signal
from collector.spool.cipher import Cipher
from collector.spool.segment import (
    HEADER_BYTES,
    RECORD_BYTES,
    SETTLED_SUFFIX,
    SUFFIX,
    Header,
    Kind,
    Record,
    Scan,
    SpoolDamaged,
    SpoolError,
    create,
    read_payload,
    record_head,
    scan,
    write_all,
)

log = logging.getLogger(__name__)

_SIGNALS = tuple(Signal)
# Ids of one spool follow one another without gaps; two spools must not meet.
_FIRST_ID_BITS = 62
_LOCK_FILE = "lock"


@dataclass(frozen=True)
class SpoolSettings:
    """Where batches wait on disk, and how much of them."""

    path: str = ""
    """Directory; by default `spool` in the directory of the embedded store, or in llmhub's data directory."""
    key_file: str = ""
    """64 hexadecimal digits, the key of spool and dead letters; by default a file beside the spool, made at first start."""
    max_bytes: int = 4 << 30
    """Full at this size: senders are told to retry."""
    max_age_seconds: float = 86_400.0
    """Full, too, when a batch has waited this long for the store."""
    segment_bytes: int = 64 << 20
    """Size of one file."""


class SpoolFull(SpoolError):
    """No room: the store must take something first."""


@dataclass(frozen=True)
class Accepted:
    """A request that waits to be spooled."""

    signal: Signal
    tenant: str
    body: bytes
    received_ns: int
    digest: bytes


@dataclass(frozen=True)
class Batch:
    """Requests of one signal that go into the store in one insert."""

    sequence: int
    signal: Signal
    envelopes: list[Envelope]


@dataclass
class _Segment:
    """A file with the batches in it that are not settled: sequence number -> record."""

    path: Path
    waiting: dict[int, Record] = field(default_factory=dict)
    size: int = 0


class Spool:
    """Appends batches durably, hands them out again, forgets them when settled. Thread-safe.

    A directory belongs to one Spool at a time. Request ids are consecutive over the life of
    the directory: an id that is neither in the store, nor in the spool, nor a dead letter is a request that was lost.
    """

    def __init__(self, directory: Path, cipher: Cipher, settings: SpoolSettings) -> None:
        """Raises SpoolError, also when another process has the directory, SpoolDamaged: then nothing has been changed."""
        self.directory = directory
        self._cipher = cipher
        self._settings = settings
        self._lock = threading.Lock()
        self._partly: dict[int, set[int]] = {}
        self._segments: list[_Segment] = []
        self._broken = ""
        self._full = ""
        self._fd = -1
        self._next_sequence = 1
        self._next_request_id = secrets.randbits(_FIRST_ID_BITS)
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._owned = _own(directory)
            self._recover()
            self._begin_segment()
        except OSError as error:
            raise SpoolError(f"collector.spool.path: cannot use {directory}: {error.strerror or error}") from error

    def append(self, signal: Signal, requests: Sequence[Accepted]) -> Batch:
        """Write one batch; when this returns it survives a crash of process and machine.

        Raises SpoolFull, or SpoolError when the disk refuses; then the batch is not in the spool.
        """
        with self._lock:
            self._check_usable()
            first = self._next_request_id
            envelopes = [
                wrap(each.signal, each.tenant, each.body, request_id=first + number, received_ns=each.received_ns, digest=each.digest)
                for number, each in enumerate(requests)
            ]  # fmt: skip
            self._write(signal, b"".join(envelope.data for envelope in envelopes), len(envelopes))
            return Batch(self._next_sequence - 1, signal, envelopes)

    def waiting(self) -> list[int]:
        """The sequence numbers of what is not settled, in the order in which it was appended."""
        with self._lock:
            return [sequence for segment in self._segments for sequence in segment.waiting]

    def read(self, sequence: int) -> Batch:
        """What is left to do of an unsettled batch. Raises SpoolError."""
        with self._lock:
            record = self._record(sequence)
            done = set(self._partly.get(sequence, ()))
        signal, data = self._open(record)
        return Batch(sequence, signal, [each for each in unwrap(signal, data) if each.request_id not in done])

    def settle(self, batch: Batch, request_ids: Collection[int] | None = None) -> None:
        """Forget the batch, or those of its requests; they are in the store. Raises nothing: what the disk does not
        remember is inserted again after a restart, and recognised there."""
        with self._lock:
            segment = self._segment(batch.sequence)
            if request_ids is None:
                del segment.waiting[batch.sequence]
                self._partly.pop(batch.sequence, None)
            else:
                self._partly.setdefault(batch.sequence, set()).update(request_ids)
            self._remember(segment, batch.sequence, request_ids or ())
            if not segment.waiting:
                self._full = ""
            self._remove_settled()

    @property
    def size_bytes(self) -> int:
        with self._lock:
            return sum(segment.size for segment in self._segments)

    @property
    def oldest_seconds(self) -> float:
        """How long the oldest unsettled batch has been waiting, 0 when there is none."""
        with self._lock:
            return self._oldest_seconds()

    def problem(self) -> str:
        """Why nothing can be appended, '' when it can."""
        with self._lock:
            return self._problem()

    def close(self) -> None:
        """Let go of the files. Idempotent."""
        with self._lock:
            if not self._broken:
                self._broken = "the spool is closed"
                os.close(self._fd)
                self._owned.close()

    def _check_usable(self) -> None:
        if problem := self._problem():
            raise SpoolFull(problem)

    def _problem(self) -> str:
        if self._broken or self._full:
            return self._broken or self._full
        if (age := self._oldest_seconds()) > self._settings.max_age_seconds:
            return f"a batch has waited {age:.0f} s for the store, collector.spool.max_age_seconds is {self._settings.max_age_seconds:g}"
        return ""

    def _oldest_seconds(self) -> float:
        oldest = min(
            (record.time_ms for segment in self._segments for record in segment.waiting.values()), default=None
        )
        return max(time.time() - oldest / 1000, 0.0) if oldest is not None else 0.0

    def _write(self, signal: Signal, data: bytes, requests: int) -> None:
        sequence, next_id = self._next_sequence, self._next_request_id + requests
        payload = self._cipher.seal(bytes([_SIGNALS.index(signal)]) + data, sequence.to_bytes(8, "little"))
        time_ms = time.time_ns() // 1_000_000
        try:
            self._make_room(RECORD_BYTES + len(payload))
            if self._segments[-1].size >= self._settings.segment_bytes:
                self._begin_segment()
            write_all(self._fd, record_head(Kind.BATCH, sequence, time_ms, next_id, payload), payload)
            os.fdatasync(self._fd)
        except OSError as error:
            self._take_back(error)
        segment = self._segments[-1]
        start = segment.size + RECORD_BYTES
        segment.waiting[sequence] = Record(segment.path, Kind.BATCH, sequence, time_ms, next_id, start, len(payload))
        segment.size = start + len(payload)
        self._next_sequence, self._next_request_id = sequence + 1, next_id

    def _make_room(self, size: int) -> None:
        """Once full, full until a file can go: there is no use in trying again with every request."""
        held = sum(segment.size for segment in self._segments)
        if held + size > self._settings.max_bytes and not self._segments[-1].waiting:
            self._begin_segment()  # which lets the last one go
            held = sum(segment.size for segment in self._segments)
        if held + size > self._settings.max_bytes:
            self._full = (
                f"the spool holds {held} bytes that the store has not taken, collector.spool.max_bytes is "
                f"{self._settings.max_bytes}"
            )
            raise SpoolFull(self._full)

    def _take_back(self, error: OSError) -> NoReturn:
        """Remove what a failed write has left, so that what comes next follows the last good record."""
        reason = error.strerror or str(error)
        size = self._segments[-1].size
        try:
            os.ftruncate(self._fd, size)
            os.lseek(self._fd, size, os.SEEK_SET)
        except OSError:
            self._broken = (
                f"collector.spool.path: {self.directory} cannot be written ({reason}); repair the disk and restart"
            )
        raise SpoolFull(f"collector.spool.path: cannot write to {self.directory}: {reason}") from error

    def _begin_segment(self) -> None:
        path = self.directory / f"{self._next_sequence:016d}{SUFFIX}"
        header = Header(self._cipher.key_id, self._next_sequence, self._next_request_id)
        fd = create(path, header)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self._segments.append(_Segment(path, size=HEADER_BYTES))
        self._remove_settled()

    def _remove_settled(self) -> None:
        """The newest file stays: its header knows the next ids."""
        for segment in [each for each in self._segments[:-1] if not each.waiting]:
            self._segments.remove(segment)
            try:
                segment.path.unlink(missing_ok=True)
                segment.path.with_suffix(SETTLED_SUFFIX).unlink(missing_ok=True)
            except OSError as error:
                log.warning("cannot remove a file of the spool", extra={"file": str(segment.path), "error": str(error)})

    def _remember(self, segment: _Segment, sequence: int, request_ids: Collection[int]) -> None:
        payload = b"".join(request_id.to_bytes(8, "little") for request_id in request_ids)
        head = record_head(Kind.SETTLED, sequence, time.time_ns() // 1_000_000, 0, payload)
        try:
            with segment.path.with_suffix(SETTLED_SUFFIX).open("ab") as file:
                if file.tell() == 0:
                    file.write(Header(self._cipher.key_id, 0, 0).encode())
                file.write(head + payload)
        except OSError as error:
            log.warning("cannot note what is settled in the spool", extra={"error": str(error)})

    def _segment(self, sequence: int) -> _Segment:
        for segment in self._segments:
            if sequence in segment.waiting:
                return segment
        raise SpoolError(f"batch {sequence} is not in the spool")

    def _record(self, sequence: int) -> Record:
        return self._segment(sequence).waiting[sequence]

    def _open(self, record: Record) -> tuple[Signal, bytes]:
        try:
            data = self._cipher.open(read_payload(record), record.sequence.to_bytes(8, "little"))
            return _SIGNALS[data[0]], data[1:]
        except (ValueError, WireError) as error:
            raise SpoolDamaged(f"{record.path}: batch {record.sequence}: {error}. Run `llmhub spool repair`") from error

    def _recover(self) -> None:
        paths = sorted(self.directory.glob(f"*{SUFFIX}"))
        scans = [(path, scan(path)) for path in paths]
        for path, found in scans:
            check_segment(path, found, self._cipher.key_id, last=path == paths[-1])
        for path, found in scans:
            self._load(path, found)

    def _load(self, path: Path, found: Scan) -> None:
        assert found.header is not None  # or check_segment would have raised
        if found.torn_bytes:
            log.warning("dropped the torn end of a file, which nobody was told is safe", extra={"file": str(path), "bytes": found.torn_bytes})  # fmt: skip
            os.truncate(path, found.end)
        self._next_sequence, self._next_request_id = found.header.first_sequence, found.header.next_request_id
        if not found.records:
            return  # the next file takes its name
        self._next_sequence = found.records[-1].sequence + 1
        self._next_request_id = found.records[-1].next_request_id
        segment = _Segment(path, {record.sequence: record for record in found.records}, found.end)
        self._segments.append(segment)
        self._forget(segment, settled_in(path))

    def _forget(self, segment: _Segment, settled: Iterable[tuple[int, list[int]]]) -> None:
        for sequence, request_ids in settled:
            if request_ids:
                self._partly.setdefault(sequence, set()).update(request_ids)
            else:
                segment.waiting.pop(sequence, None)
                self._partly.pop(sequence, None)


def _own(directory: Path) -> BinaryIO:
    """Two processes in one directory would overwrite each other's batches. The lock goes with the file or the process."""
    file = (directory / _LOCK_FILE).open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise SpoolError(
            f"collector.spool.path: {directory} is in use by another process of a hub: stop that one, or give this one "
            "another directory"
        ) from None
    return file


def check_segment(path: Path, found: Scan, key_id: bytes, *, last: bool) -> None:
    """Raises SpoolDamaged when something in the file is neither good nor the torn end of a crash, SpoolError when it
    was written with another key."""
    if found.header is None or found.damaged or (found.torn_bytes and not last):
        raise SpoolDamaged(
            f"{path} is damaged and may hold batches that were acknowledged. Run `llmhub spool repair`: it keeps what can "
            "be read and sets the damaged bytes aside"
        )
    if found.header.key_id != key_id:
        raise SpoolError(
            f"{path} was written with another key: set collector.spool.key_file to that key, or move the directory away"
        )


def settled_in(path: Path) -> list[tuple[int, list[int]]]:
    """What the file beside the segment `path` says: (sequence number, its settled request ids or [] for all)."""
    beside = path.with_suffix(SETTLED_SUFFIX)
    records = scan(beside).records if beside.exists() else []
    payloads = [(record.sequence, read_payload(record)) for record in records]
    return [
        (sequence, [int.from_bytes(payload[at : at + 8], "little") for at in range(0, len(payload), 8)])
        for sequence, payload in payloads
    ]
