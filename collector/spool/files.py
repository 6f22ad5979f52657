"""The files of a spool: records are appended to the newest one, and those go of which nothing waits any more."""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from collector.spool.recovery import check_segment, private, settled_in
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
    SpoolError,
    create,
    encode_record,
    scan,
    write_record,
)
from collector.spool.settings import SpoolSettings

log = logging.getLogger(__name__)

# Ids of one spool follow one another without gaps; two spools must not meet.
FIRST_ID_BITS = 62
_FILE_SECONDS = 60.0


class SpoolFull(SpoolError):
    """No room: the store must take something first."""


@dataclass
class SpoolFile:
    """A file with the records in it that are not settled, by sequence number. `first_ids` has the first request id of
    each of them."""

    path: Path
    waiting: dict[int, Record] = field(default_factory=dict)
    size: int = 0
    first_ids: dict[int, int] = field(default_factory=dict)


class SpoolFiles:
    """The files in `directory`, oldest first, and the numbers that were given out. Not thread-safe, but for what says so.

    What is `broken` is never written again; what is `full` takes nothing until a file can go. Both say why, '' means neither.
    """

    def __init__(
        self, directory: Path, key_id: bytes, settings: SpoolSettings, flush_store: Callable[[], None]
    ) -> None:
        self._directory = directory
        self._key_id = key_id
        self._settings = settings
        self._flush_store = flush_store
        self._files: list[SpoolFile] = []
        self._fd = -1
        self._began = time.monotonic()
        self.broken = ""
        self.full = ""
        self.next_sequence = 1
        self.next_request_id = secrets.randbits(FIRST_ID_BITS)

    def __iter__(self) -> Iterator[SpoolFile]:
        return iter(self._files)

    @property
    def size_bytes(self) -> int:
        """Thread-safe."""
        return sum(file.size for file in list(self._files))

    @property
    def is_settled(self) -> bool:
        """Whether nothing waits in any of them."""
        return not any(file.waiting for file in self._files)

    def of(self, sequence: int) -> SpoolFile:
        """The file in which that record waits."""
        return next(file for file in self._files if sequence in file.waiting)

    def load(self) -> Iterator[tuple[SpoolFile, list[tuple[Record, list[int]]]]]:
        """Take up what an earlier process left: each file, with what `settled_in` says of it. Raises SpoolError, and
        SpoolDamaged; then nothing has been changed."""
        paths = sorted(self._directory.glob(f"*{SUFFIX}"))
        scans = [(path, scan(path)) for path in paths]
        for path, found in scans:
            check_segment(path, found, self._key_id, last=path == paths[-1])
        for path, found in scans:
            yield self._load(path, found)

    def _load(self, path: Path, found: Scan) -> tuple[SpoolFile, list[tuple[Record, list[int]]]]:
        assert found.header is not None  # or check_segment would have raised
        if found.torn_bytes:
            log.warning("dropped the torn end of a file, which nobody was told is safe", extra={"file": str(path), "bytes": found.torn_bytes})  # fmt: skip
            os.truncate(path, found.end)
        settled = settled_in(path)
        # What is settled counts, too: its record may be the one that was dropped. Under a number or an id that was given
        # out before, the next start or the store would take a new batch for the old one.
        known = [*found.records, *(record for record, _ in settled)]
        self.next_sequence = max([found.header.first_sequence, *(each.sequence + 1 for each in known)])
        self.next_request_id = max([found.header.next_request_id, *(each.next_request_id for each in known)])
        file = SpoolFile(path, {record.sequence: record for record in found.records}, found.end)
        ids = [found.header.next_request_id, *(record.next_request_id for record in found.records)]
        file.first_ids = {record.sequence: first for record, first in zip(found.records, ids, strict=False)}
        self._files.append(file)
        return file, settled

    def forget_notes(self) -> None:
        """Drop what `note_settled` has written: the store has lost some of it."""
        for file in self._files:
            file.path.with_suffix(SETTLED_SUFFIX).unlink(missing_ok=True)

    def begin(self) -> None:
        """A new file for what comes."""
        path = self._directory / f"{self.next_sequence:016d}{SUFFIX}"
        header = Header(self._key_id, self.next_sequence, self.next_request_id)
        # What a file of this name, whose only batch a bad disk has lost, has said of that one.
        path.with_suffix(SETTLED_SUFFIX).unlink(missing_ok=True)
        fd = create(path, header)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        # A file without records is replaced by its successor, which has the same name.
        self._files = [each for each in self._files if each.path != path]
        self._files.append(SpoolFile(path, size=HEADER_BYTES))
        self._began = time.monotonic()

    def append(self, batch: int, payload: Iterable[bytes], size: int, requests: int) -> Record:
        """Write the next record, of `requests` in `payload` of `size` bytes; durable when this returns. Raises SpoolFull; then
        it is as if nothing had been written."""
        sequence, next_id = self.next_sequence, self.next_request_id + requests
        label = Label(Kind.BATCH, sequence, batch, time.time_ns() // 1_000_000, next_id)
        try:
            self._make_room(RECORD_BYTES + size)
            self._turn()
            at = self._files[-1].size
            end = write_record(self._fd, at, label, payload)
            os.fdatasync(self._fd)
        except OSError as error:
            self._take_back(error)
        file, start = self._files[-1], at + RECORD_BYTES
        record = Record(**vars(label), path=file.path, start=start, length=end - start)
        file.first_ids[sequence] = self.next_request_id
        file.waiting[sequence] = record
        file.size = end
        self.next_sequence, self.next_request_id = sequence + 1, next_id
        return record

    def forget(self, file: SpoolFile, sequence: int) -> None:
        """A record of it is settled."""
        del file.waiting[sequence], file.first_ids[sequence]
        if not file.waiting:
            self.full = ""

    def note_settled(self, record: Record, request_ids: Collection[int]) -> None:
        """Write down that these requests of the record, or all if there are none, are in the store. Raises nothing."""
        payload = b"".join(request_id.to_bytes(8, "little") for request_id in request_ids)
        label = Label(Kind.SETTLED, record.sequence, record.batch, time.time_ns() // 1_000_000, record.next_request_id)
        try:
            with open(record.path.with_suffix(SETTLED_SUFFIX), "ab", opener=private) as file:
                if file.tell() == 0:
                    file.write(Header(self._key_id, 0, 0).encode())
                file.write(encode_record(label, payload))
        except OSError as error:
            log.warning("cannot note what is settled in the spool", extra={"error": str(error)})

    def settled(self) -> list[SpoolFile]:
        """Those that may go. The newest file stays: its header knows the next ids."""
        return [each for each in self._files[:-1] if not each.waiting]

    def store_is_flushed(self) -> bool:
        """Make durable what the store has taken; thread-safe, and may take seconds."""
        try:
            self._flush_store()
        except Exception as error:
            log.error("the spool keeps what the store may lose", extra={"error": str(error)})
            return False
        return True

    def let_go(self, settled: Sequence[SpoolFile]) -> None:
        """Remove files, once the store is flushed."""
        if self.broken:
            return  # the directory may be another's by now
        for file in settled:
            if file not in self._files:
                continue
            self._files.remove(file)
            try:
                file.path.unlink(missing_ok=True)
                file.path.with_suffix(SETTLED_SUFFIX).unlink(missing_ok=True)
            except OSError as error:
                log.warning("cannot remove a file of the spool", extra={"file": str(file.path), "error": str(error)})

    def remove_settled(self) -> None:
        """All of that at once, for whoever needs the room now."""
        settled = self.settled()
        if settled and self.store_is_flushed():
            self.let_go(settled)

    def close(self, reason: str) -> None:
        """Write nothing any more, for that `reason`."""
        if self.is_settled:
            with suppress(OSError):
                self.begin()  # nothing is left to hand out again
                self.remove_settled()
        self.abandon(reason)

    def abandon(self, reason: str) -> None:
        """As `close`, and leave the files as they are."""
        self.broken = reason
        os.close(self._fd)

    def _turn(self) -> None:
        """By size, and by time: the store recognises only so many batches that it has seen before."""
        newest = self._files[-1]
        old = time.monotonic() - self._began > _FILE_SECONDS and newest.size > HEADER_BYTES
        if old or newest.size >= self._settings.segment_bytes:
            self.begin()

    def _make_room(self, size: int) -> None:
        """Once full, full until a file can go: there is no use in trying again with every request."""
        if self.size_bytes + size > self._settings.max_bytes:
            if not self._files[-1].waiting:
                self.begin()  # so that the last one can go, too
            self.remove_settled()
        if (held := self.size_bytes) + size > self._settings.max_bytes:
            problem = (
                f"the spool holds {held} bytes that the store has not taken, {size} more do not fit, "
                f"collector.spool.max_bytes is {self._settings.max_bytes}"
            )
            # Nobody would clear it where nothing waits: the batch alone is too large.
            self.full = "" if self.is_settled else problem
            raise SpoolFull(problem)

    def _take_back(self, error: OSError) -> NoReturn:
        """Remove what a failed write has left, so that what comes next follows the last good record."""
        reason = error.strerror or str(error)
        size = self._files[-1].size
        try:
            os.ftruncate(self._fd, size)
            os.lseek(self._fd, size, os.SEEK_SET)
            self._make_way()
        except OSError:
            self.broken = (
                f"collector.spool.path: {self._directory} cannot be written ({reason}); repair the disk and restart"
            )
        raise SpoolFull(f"collector.spool.path: cannot write to {self._directory}: {reason}") from error

    def _make_way(self) -> None:
        """Let the newest file go, too, when all of it is settled: the next batch may find the room it needs."""
        newest = self._files[-1]
        if not newest.waiting and newest.size > HEADER_BYTES and self.store_is_flushed():
            with suppress(OSError):
                os.ftruncate(self._fd, HEADER_BYTES)  # or there may be no room for the name of its successor
                newest.size = HEADER_BYTES  # nor may there be now; then what comes goes here
                self.begin()
                self.remove_settled()
