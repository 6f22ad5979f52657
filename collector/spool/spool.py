"""The spool: what was accepted and is not yet known to be in the store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.envelope import Envelope, parts, unwrap, wrap
from collector.protobuf import WireError
from collector.signals import Signal
from collector.spool.cipher import SEAL_BYTES, Cipher
from collector.spool.files import SpoolFile, SpoolFiles, SpoolFull
from collector.spool.lock import DirectoryLock
from collector.spool.recovery import is_same_boot, note_boot
from collector.spool.segment import Record, SpoolDamaged, SpoolError, read_payload
from collector.spool.settings import SpoolSettings

_SIGNALS = tuple(Signal)
# What is sealed and written at a time: small enough for a core's cache.
_PIECE_BYTES = 1 << 20


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
        self._cipher = cipher
        self._settings = settings
        self._lock = threading.Lock()
        # Of each batch, in order, the records that are not settled; of these the requests that are; those that cannot be read.
        self._batches: dict[int, list[int]] = {}
        self._partly: dict[int, set[int]] = {}
        self._damaged: set[int] = set()
        self._oldest_ms = 0
        self._files = SpoolFiles(directory, cipher.key_id, settings, flush_store)
        self._directory_lock = DirectoryLock(directory)
        try:
            same_boot = is_same_boot(directory)
            self._recover(same_boot)
            self._files.begin()
            if not same_boot:  # or the next start would believe what is settled
                self._files.forget_notes()
            self._files.remove_settled()
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
            first = self._files.next_request_id
            envelopes = [
                wrap(each.signal, each.tenant, each.body, request_id=first + number, received_ns=each.received_ns, digest=each.digest)
                for number, each in enumerate(requests)
            ]  # fmt: skip
            batch = self._files.next_sequence if to is None else to
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
                (self._files.of(each).waiting[each], set(self._partly.get(each, ())))
                for each in self._records(sequence)
            ]
        left: list[Envelope] = []
        damage = None
        for record, done in records:
            try:
                signal, envelopes = self._open(record)
                left += [each for each in envelopes if each.request_id not in done]
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
                    self._settle(self._files.of(sequence), sequence, request_ids)
            self._note_oldest()

    def remove_settled(self) -> None:
        """Let files go of which nothing waits any more, once all that they held is on the store's disk. That may take
        seconds; the spool takes batches meanwhile. Raises nothing."""
        with self._lock:
            settled = self._files.settled()
        if settled and self._files.store_is_flushed():
            with self._lock:
                self._files.let_go(settled)

    def issued(self) -> tuple[int, list[tuple[int, int]]]:
        """The next request id, and those that are not settled, as (first, last) in ascending order."""
        with self._lock:
            ranges: list[tuple[int, int]] = []
            for file in self._files:
                for sequence, record in file.waiting.items():
                    first, last = file.first_ids[sequence], record.next_request_id - 1
                    if ranges and ranges[-1][1] == first - 1:
                        first = ranges.pop()[0]
                    ranges.append((first, last))
            return self._files.next_request_id, ranges

    @property
    def size_bytes(self) -> int:
        return self._files.size_bytes

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
        if problem := self._files.broken or self._files.full:
            return problem
        if (age := self.oldest_seconds) > self._settings.max_age_seconds:
            return f"a batch has waited {age:.0f} s for the store, collector.spool.max_age_seconds is {self._settings.max_age_seconds:g}"
        return ""

    def close(self) -> None:
        """Let go of the files. Idempotent."""
        with self._lock:
            if not self._files.broken:
                self._files.close("the spool is closed")
                self._directory_lock.release()

    def _note_oldest(self) -> None:
        waiting = (record for file in self._files for record in file.waiting.values())
        self._oldest_ms = next((each.time_ms for each in waiting if each.sequence not in self._damaged), 0)

    def _check_usable(self) -> None:
        if problem := self.problem():
            raise SpoolFull(problem)

    def _write(self, batch: int, data: Sequence[bytes], requests: int) -> None:
        payload = self._cipher.sealed(_pieces(data), self._files.next_sequence.to_bytes(8, "little"))
        record = self._files.append(batch, payload, SEAL_BYTES + sum(map(len, data)), requests)
        self._batches.setdefault(batch, []).append(record.sequence)
        self._note_oldest()

    def _settle(self, file: SpoolFile, sequence: int, request_ids: Collection[int] | None) -> None:
        record = file.waiting[sequence]
        ids = range(file.first_ids[sequence], record.next_request_id)
        done = [each for each in request_ids or () if each in ids]
        if request_ids is None:
            self._forget(file, record)
        elif done:
            self._partly.setdefault(sequence, set()).update(done)
        else:
            return
        self._files.note_settled(record, done)

    def _forget(self, file: SpoolFile, record: Record) -> None:
        self._files.forget(file, record.sequence)
        self._partly.pop(record.sequence, None)
        left = self._batches[record.batch]
        left.remove(record.sequence)
        if not left:
            del self._batches[record.batch]

    def _records(self, batch: int) -> list[int]:
        """The sequence numbers of its records that are not settled."""
        if batch not in self._batches:
            raise SpoolError(f"batch {batch} is not in the spool")
        return list(self._batches[batch])

    def _open(self, record: Record) -> tuple[Signal, list[Envelope]]:
        """What is in it. The first byte of a payload stands for the signal."""
        try:
            data = self._cipher.open(read_payload(record), record.sequence.to_bytes(8, "little"))
            signal = _SIGNALS[data[0]]
            return signal, list(unwrap(signal, data, 1))
        except (ValueError, WireError) as error:
            raise SpoolDamaged(
                f"{record.path}: record {record.sequence}: {error}. Run `llmhub spool repair`"
            ) from error

    def _recover(self, same_boot: bool) -> None:
        for file, settled in self._files.load():
            for record in file.waiting.values():
                self._batches.setdefault(record.batch, []).append(record.sequence)
            if same_boot:
                self._forget_settled(file, settled)
        self._note_oldest()

    def _forget_settled(self, file: SpoolFile, settled: Iterable[tuple[Record, list[int]]]) -> None:
        for note, request_ids in settled:
            record = file.waiting.get(note.sequence)
            if record is None:
                continue
            if request_ids:
                self._partly.setdefault(record.sequence, set()).update(request_ids)
            else:
                self._forget(file, record)


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
