"""The spool: what was accepted and is not yet known to be in the store."""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from collector.envelope import Envelope, parts, unwrap, wrap
from collector.protobuf import WireError
from collector.signals import Signal
from collector.spool.cipher import SEAL_BYTES, Cipher
from collector.spool.lock import DirectoryLock
from collector.spool.recovery import check_segment, is_same_boot, note_boot, private, settled_in
from collector.spool.segment import (
    HEADER_BYTES,
    RECORD_BYTES,
    SETTLED_SUFFIX,
    SUFFIX,
    Header,
    Kind,
    Label,
    Record,
    Scan,
    SpoolDamaged,
    SpoolError,
    create,
    encode_record,
    read_payload,
    scan,
    write_record,
)

log = logging.getLogger(__name__)

_SIGNALS = tuple(Signal)
# Ids of one spool follow one another without gaps; two spools must not meet.
FIRST_ID_BITS = 62
_SEGMENT_SECONDS = 60.0
# What is sealed and written at a time: small enough for a core's cache.
_PIECE_BYTES = 1 << 20


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
    """Requests of one signal that go into the store in one insert. It is not `whole` when the disk has lost some of it."""

    sequence: int
    signal: Signal
    envelopes: list[Envelope]
    whole: bool = True


@dataclass
class _Segment:
    """A file with the records in it that are not settled, by sequence number. `first_ids` has the first request id of
    each of them."""

    path: Path
    waiting: dict[int, Record] = field(default_factory=dict)
    size: int = 0
    first_ids: dict[int, int] = field(default_factory=dict)


class Spool:
    """Appends batches durably, hands them out again, forgets them when settled. Thread-safe.

    A directory belongs to one Spool at a time. Request ids are consecutive over the life of
    the directory: an id that is neither in the store, nor in the spool, nor a dead letter is a request that was lost.
    """

    def __init__(
        self,
        directory: Path,
        cipher: Cipher,
        settings: SpoolSettings,
        flush_store: Callable[[], None] = lambda: None,
    ) -> None:
        """Raises SpoolError, also when another process has the directory, SpoolDamaged: then nothing has been changed.

        What was settled when the machine, and not only the process, went down is handed out again: the store may not
        have reached its disk. `flush_store` makes it durable; it is called before files are removed, from any thread.
        """
        self.directory = directory
        self._flush_store = flush_store
        self._cipher = cipher
        self._settings = settings
        self._lock = threading.Lock()
        # Of each batch, in order, the records that are not settled; of these the requests that are; those that cannot be read.
        self._batches: dict[int, list[int]] = {}
        self._partly: dict[int, set[int]] = {}
        self._damaged: set[int] = set()
        self._segments: list[_Segment] = []
        self._broken = ""
        self._full = ""
        self._fd = -1
        self._oldest_ms = 0
        self._segment_began = time.monotonic()
        self._next_sequence = 1
        self._next_request_id = secrets.randbits(FIRST_ID_BITS)
        self._directory_lock = DirectoryLock(directory)
        try:
            self._recover()
            self._begin_segment()
            self._remove_settled()
            note_boot(directory)
        except OSError as error:
            self._directory_lock.release()
            raise SpoolError(f"collector.spool.path: cannot use {directory}: {error.strerror or error}") from error
        except BaseException:
            self._directory_lock.release()
            raise

    def append(self, signal: Signal, requests: Sequence[Accepted], to: int | None = None) -> Batch:
        """Write requests as a batch, or as more of batch `to`, of which nothing has been inserted yet; when this returns
        they survive a crash of process and machine. Returns these requests, with the sequence number of their batch.

        Raises SpoolFull, or SpoolError when the disk refuses; then they are not in the spool.
        """
        with self._lock:
            self._check_usable()
            first = self._next_request_id
            envelopes = [
                wrap(each.signal, each.tenant, each.body, request_id=first + number, received_ns=each.received_ns, digest=each.digest)
                for number, each in enumerate(requests)
            ]  # fmt: skip
            batch = self._next_sequence if to is None else to
            self._write(batch, [bytes([_SIGNALS.index(signal)]), *parts(envelopes)], len(envelopes))
            return Batch(batch, signal, envelopes)

    def waiting(self) -> list[int]:
        """The sequence numbers of the batches that are not settled, in the order in which they were begun."""
        with self._lock:
            return list(self._batches)

    def read(self, sequence: int) -> Batch:
        """What is left to do of an unsettled batch. Raises SpoolError, SpoolDamaged when none of it can be read; what is
        damaged stays on disk and nothing waits for it any more."""
        with self._lock:
            records = [
                (self._segment(each).waiting[each], set(self._partly.get(each, ()))) for each in self._records(sequence)
            ]
        left: list[Envelope] = []
        damage = None
        for record, done in records:
            try:
                signal, data = self._open(record)
                left += [each for each in unwrap(signal, data, 1) if each.request_id not in done]
            except SpoolDamaged as error:
                damage = error
                with self._lock:
                    self._damaged.add(record.sequence)
                    self._note_oldest()
        if damage is None or left:
            return Batch(sequence, signal, left, whole=damage is None)
        raise damage

    def settle(self, batch: Batch, request_ids: Collection[int] | None = None) -> None:
        """Forget the batch, or those of its requests; they are in the store. Raises nothing: what the disk does not
        remember is inserted again after a restart, and recognised there."""
        with self._lock:
            for sequence in self._records(batch.sequence):
                if sequence not in self._damaged:
                    self._settle(self._segment(sequence), sequence, request_ids)
            self._note_oldest()

    def remove_settled(self) -> None:
        """Let files go of which nothing waits any more, once all that they held is on the store's disk. That may take
        seconds; the spool takes batches meanwhile. Raises nothing."""
        with self._lock:
            settled = self._settled()
        if settled and self._store_is_flushed():
            with self._lock:
                self._let_go(settled)

    def issued(self) -> tuple[int, list[tuple[int, int]]]:
        """The next request id, and those that are not settled, as (first, last) in ascending order."""
        with self._lock:
            ranges: list[tuple[int, int]] = []
            for segment in self._segments:
                for sequence, record in segment.waiting.items():
                    first, last = segment.first_ids[sequence], record.next_request_id - 1
                    if ranges and ranges[-1][1] == first - 1:
                        first = ranges.pop()[0]
                    ranges.append((first, last))
            return self._next_request_id, ranges

    @property
    def size_bytes(self) -> int:
        return sum(segment.size for segment in list(self._segments))

    @property
    def oldest_seconds(self) -> float:
        """How long the oldest unsettled batch has been waiting, 0 when there is none; damaged ones do not count."""
        oldest = self._oldest_ms
        return max(time.time() - oldest / 1000, 0.0) if oldest else 0.0

    @property
    def damaged_batches(self) -> int:
        """Batches, or records of one, that were found damaged since the start; only `llmhub spool repair` can tell what is left of them."""
        return len(self._damaged)

    def problem(self) -> str:
        """Why nothing can be appended, '' when it can. Never waits for the disk."""
        if self._broken or self._full:
            return self._broken or self._full
        if (age := self.oldest_seconds) > self._settings.max_age_seconds:
            return f"a batch has waited {age:.0f} s for the store, collector.spool.max_age_seconds is {self._settings.max_age_seconds:g}"
        return ""

    def close(self) -> None:
        """Let go of the files. Idempotent."""
        with self._lock:
            if self._broken:
                return
            if not any(segment.waiting for segment in self._segments):
                with suppress(OSError):
                    self._begin_segment()  # nothing is left to hand out again
                    self._remove_settled()
            self._broken = "the spool is closed"
            os.close(self._fd)
            self._directory_lock.release()

    def _note_oldest(self) -> None:
        waiting = (record for segment in self._segments for record in segment.waiting.values())
        self._oldest_ms = next((each.time_ms for each in waiting if each.sequence not in self._damaged), 0)

    def _check_usable(self) -> None:
        if problem := self.problem():
            raise SpoolFull(problem)

    def _write(self, batch: int, data: Sequence[bytes], requests: int) -> None:
        sequence, next_id = self._next_sequence, self._next_request_id + requests
        payload = self._cipher.sealed(_pieces(data), sequence.to_bytes(8, "little"))
        label = Label(Kind.BATCH, sequence, batch, time.time_ns() // 1_000_000, next_id)
        try:
            self._make_room(RECORD_BYTES + SEAL_BYTES + sum(map(len, data)))
            self._turn_segment()
            at = self._segments[-1].size
            end = write_record(self._fd, at, label, payload)
            os.fdatasync(self._fd)
        except OSError as error:
            self._take_back(error)
        segment = self._segments[-1]
        start = at + RECORD_BYTES
        segment.first_ids[sequence] = self._next_request_id
        segment.waiting[sequence] = Record(**vars(label), path=segment.path, start=start, length=end - start)
        segment.size = end
        self._batches.setdefault(batch, []).append(sequence)
        self._next_sequence, self._next_request_id = sequence + 1, next_id
        self._note_oldest()

    def _turn_segment(self) -> None:
        """By size, and by time: the store recognises only so many batches that it has seen before."""
        segment = self._segments[-1]
        old = time.monotonic() - self._segment_began > _SEGMENT_SECONDS and segment.size > HEADER_BYTES
        if old or segment.size >= self._settings.segment_bytes:
            self._begin_segment()

    def _make_room(self, size: int) -> None:
        """Once full, full until a file can go: there is no use in trying again with every request."""
        held = sum(segment.size for segment in self._segments)
        if held + size > self._settings.max_bytes:
            if not self._segments[-1].waiting:
                self._begin_segment()  # so that the last one can go, too
            self._remove_settled()
            held = sum(segment.size for segment in self._segments)
        if held + size > self._settings.max_bytes:
            problem = (
                f"the spool holds {held} bytes that the store has not taken, {size} more do not fit, "
                f"collector.spool.max_bytes is {self._settings.max_bytes}"
            )
            # Nobody would clear it where nothing waits: the batch alone is too large.
            self._full = problem if any(segment.waiting for segment in self._segments) else ""
            raise SpoolFull(problem)

    def _take_back(self, error: OSError) -> NoReturn:
        """Remove what a failed write has left, so that what comes next follows the last good record."""
        reason = error.strerror or str(error)
        size = self._segments[-1].size
        try:
            os.ftruncate(self._fd, size)
            os.lseek(self._fd, size, os.SEEK_SET)
            self._make_way()
        except OSError:
            self._broken = (
                f"collector.spool.path: {self.directory} cannot be written ({reason}); repair the disk and restart"
            )
        raise SpoolFull(f"collector.spool.path: cannot write to {self.directory}: {reason}") from error

    def _make_way(self) -> None:
        """Let the newest file go, too, when all of it is settled: the next batch may find the room it needs."""
        segment = self._segments[-1]
        if not segment.waiting and segment.size > HEADER_BYTES and self._store_is_flushed():
            with suppress(OSError):
                os.ftruncate(self._fd, HEADER_BYTES)  # or there may be no room for the name of its successor
                self._begin_segment()
                self._remove_settled()

    def _begin_segment(self) -> None:
        path = self.directory / f"{self._next_sequence:016d}{SUFFIX}"
        header = Header(self._cipher.key_id, self._next_sequence, self._next_request_id)
        # What a file of this name, whose only batch a bad disk has lost, has said of that one.
        path.with_suffix(SETTLED_SUFFIX).unlink(missing_ok=True)
        fd = create(path, header)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        # A file without records is replaced by its successor, which has the same name.
        self._segments = [each for each in self._segments if each.path != path]
        self._segments.append(_Segment(path, size=HEADER_BYTES))
        self._segment_began = time.monotonic()

    def _settled(self) -> list[_Segment]:
        """The newest file stays: its header knows the next ids."""
        return [each for each in self._segments[:-1] if not each.waiting]

    def _remove_settled(self) -> None:
        """As `remove_settled`, for whoever has the lock and needs the room now."""
        settled = self._settled()
        if settled and self._store_is_flushed():
            self._let_go(settled)

    def _let_go(self, settled: Sequence[_Segment]) -> None:
        if self._broken:
            return  # the directory may be another's by now
        for segment in settled:
            if segment not in self._segments:
                continue
            self._segments.remove(segment)
            try:
                segment.path.unlink(missing_ok=True)
                segment.path.with_suffix(SETTLED_SUFFIX).unlink(missing_ok=True)
            except OSError as error:
                log.warning("cannot remove a file of the spool", extra={"file": str(segment.path), "error": str(error)})

    def _store_is_flushed(self) -> bool:
        try:
            self._flush_store()
        except Exception as error:
            log.error("the spool keeps what the store may lose", extra={"error": str(error)})
            return False
        return True

    def _settle(self, segment: _Segment, sequence: int, request_ids: Collection[int] | None) -> None:
        record = segment.waiting[sequence]
        ids = range(segment.first_ids[sequence], record.next_request_id)
        done = [each for each in request_ids or () if each in ids]
        if request_ids is None:
            self._forget(segment, record)
            if not segment.waiting:
                self._full = ""
        elif done:
            self._partly.setdefault(sequence, set()).update(done)
        else:
            return
        self._note(record, done)

    def _forget(self, segment: _Segment, record: Record) -> None:
        del segment.waiting[record.sequence], segment.first_ids[record.sequence]
        self._partly.pop(record.sequence, None)
        left = self._batches[record.batch]
        left.remove(record.sequence)
        if not left:
            del self._batches[record.batch]

    def _note(self, record: Record, request_ids: Collection[int]) -> None:
        payload = b"".join(request_id.to_bytes(8, "little") for request_id in request_ids)
        label = Label(Kind.SETTLED, record.sequence, record.batch, time.time_ns() // 1_000_000, record.next_request_id)
        try:
            with open(record.path.with_suffix(SETTLED_SUFFIX), "ab", opener=private) as file:
                if file.tell() == 0:
                    file.write(Header(self._cipher.key_id, 0, 0).encode())
                file.write(encode_record(label, payload))
        except OSError as error:
            log.warning("cannot note what is settled in the spool", extra={"error": str(error)})

    def _segment(self, sequence: int) -> _Segment:
        return next(segment for segment in self._segments if sequence in segment.waiting)

    def _records(self, batch: int) -> list[int]:
        """The sequence numbers of its records that are not settled."""
        if batch not in self._batches:
            raise SpoolError(f"batch {batch} is not in the spool")
        return list(self._batches[batch])

    def _open(self, record: Record) -> tuple[Signal, bytes]:
        """The payload, and the signal that its first byte stands for."""
        try:
            data = self._cipher.open(read_payload(record), record.sequence.to_bytes(8, "little"))
            return _SIGNALS[data[0]], data
        except (ValueError, WireError) as error:
            raise SpoolDamaged(
                f"{record.path}: record {record.sequence}: {error}. Run `llmhub spool repair`"
            ) from error

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
        settled = settled_in(path)
        # What is settled counts, too: its record may be the one that was dropped. Under a number or an id that was given
        # out before, the next start or the store would take a new batch for the old one.
        known = [*found.records, *(record for record, _ in settled)]
        self._next_sequence = max([found.header.first_sequence, *(each.sequence + 1 for each in known)])
        self._next_request_id = max([found.header.next_request_id, *(each.next_request_id for each in known)])
        segment = _Segment(path, {record.sequence: record for record in found.records}, found.end)
        ids = [found.header.next_request_id, *(record.next_request_id for record in found.records)]
        segment.first_ids = {record.sequence: first for record, first in zip(found.records, ids, strict=False)}
        self._segments.append(segment)
        for record in found.records:
            self._batches.setdefault(record.batch, []).append(record.sequence)
        if is_same_boot(self.directory):
            self._forget_settled(segment, settled)
        self._note_oldest()

    def _forget_settled(self, segment: _Segment, settled: Iterable[tuple[Record, list[int]]]) -> None:
        for note, request_ids in settled:
            record = segment.waiting.get(note.sequence)
            if record is None:
                continue
            if request_ids:
                self._partly.setdefault(record.sequence, set()).update(request_ids)
            else:
                self._forget(segment, record)


def _pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= _PIECE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)
