"""The spool gives back exactly what is not settled, whatever happens to its process and its files."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from collector.signals import Signal
from collector.spool import Cipher, KeyFileError, Spool, SpoolDamaged, SpoolError, SpoolFull, SpoolSettings, open_key
from collector.spool.segment import HEADER_BYTES, scan
from collector.spool.spool import Accepted, Batch
from tests.faults.disk import small_disk

CIPHER = Cipher(bytes(range(32)))
TORN = "dropped the torn end of a file"
UNLIMITED = SpoolSettings()


def accepted(*bodies: bytes, tenant: str = "shop", signal: Signal = Signal.TRACES) -> list[Accepted]:
    return [Accepted(signal, tenant, body, time.time_ns(), body[:16].ljust(16, b"\0")) for body in bodies]


_LATEST: dict[Path, Spool] = {}


def opened(directory: Path, limits: SpoolSettings = UNLIMITED, cipher: Cipher = CIPHER) -> Spool:
    """The next process on `directory`; one before that was not closed has crashed."""
    if directory in _LATEST:
        crash_of(_LATEST[directory])
    _LATEST[directory] = Spool(directory, cipher, limits)
    return _LATEST[directory]


def crash_of(spool: Spool) -> None:
    """The process is gone: its files are closed, and its lock with them."""
    if not spool._files.broken:
        spool._files.abandon("crashed")
        spool._directory_lock.release()


def bodies(spool: Spool) -> list[list[bytes]]:
    """What is left to do, batch by batch."""
    return [[envelope.body for envelope in spool.read(sequence).envelopes] for sequence in spool.waiting()]


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.spool"))


def filled(directory: Path, *batches: bytes) -> list[Batch]:
    """A closed spool with one batch of one request for each of `batches`."""
    spool = opened(directory)
    made = [spool.append(Signal.TRACES, accepted(each)) for each in batches]
    spool.close()
    return made


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "spool"


class AnyOrder(RuleBasedStateMachine):
    """The spool against a dictionary that forgets nothing, over appends, settles and restarts in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.model: dict[int, dict[int, bytes]] = {}
        self.records: Counter[int] = Counter()
        self.next_id = -1
        self.spool = self.open()

    def open(self) -> Spool:
        return opened(self.directory, SpoolSettings(segment_bytes=600))

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.directory)

    @rule(requests=st.lists(st.binary(max_size=200), min_size=1, max_size=4), signal=st.sampled_from(Signal))
    def append(self, requests: list[bytes], signal: Signal) -> None:
        batch = self.spool.append(signal, accepted(*requests, signal=signal))
        assert batch.signal is signal
        ids = [envelope.request_id for envelope in batch.envelopes]
        first = ids[0] if self.next_id < 0 else self.next_id
        assert ids == list(range(first, first + len(requests))), "request ids have neither gaps nor pairs"
        self.next_id = ids[-1] + 1
        self.model[batch.sequence] = dict(zip(ids, requests, strict=True))
        self.records[batch.sequence] = 1

    @precondition(lambda self: self.model)
    @rule(data=st.data(), requests=st.lists(st.binary(max_size=200), min_size=1, max_size=4))
    def append_to(self, data: st.DataObject, requests: list[bytes]) -> None:
        sequence = data.draw(st.sampled_from(sorted(self.model)))
        signal = self.spool.read(sequence).signal
        batch = self.spool.append(signal, accepted(*requests, signal=signal), sequence)
        assert batch.sequence == sequence
        self.next_id = batch.envelopes[-1].request_id + 1
        self.model[sequence].update((each.request_id, each.body) for each in batch.envelopes)
        self.records[sequence] += 1

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        sequence = data.draw(st.sampled_from(sorted(self.model)))
        self.spool.settle(self.spool.read(sequence))
        self.spool.remove_settled()
        del self.model[sequence], self.records[sequence]

    @precondition(lambda self: any(self.model.values()))
    @rule(data=st.data())
    def settle_some(self, data: st.DataObject) -> None:
        sequence = data.draw(st.sampled_from([each for each, left in sorted(self.model.items()) if left]))
        done = data.draw(st.sets(st.sampled_from(sorted(self.model[sequence])), min_size=1))
        self.spool.settle(self.spool.read(sequence), done)
        for request_id in done:
            del self.model[sequence][request_id]

    @rule(crash=st.booleans())
    def reopen(self, crash: bool) -> None:
        if crash:
            crash_of(self.spool)
        else:
            self.spool.close()
        self.spool = self.open()

    @invariant()
    def it_holds_what_is_not_settled_in_order(self) -> None:
        assert self.spool.waiting() == sorted(self.model)
        assert bodies(self.spool) == [list(self.model[sequence].values()) for sequence in sorted(self.model)]

    @invariant()
    def it_keeps_no_file_without_a_purpose(self) -> None:
        assert len(segments(self.directory)) <= self.records.total() + 1


AnyOrder.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestAnyOrder = AnyOrder.TestCase


def test_a_batch_comes_back_as_it_was_appended(directory: Path) -> None:
    spool = opened(directory)
    request = Accepted(Signal.LOGS, "größte", b"body", 1_700_000_000_123_456_789, bytes(range(16)))
    batch = spool.append(Signal.LOGS, [request])
    spool.close()
    (again,) = [opened(directory).read(batch.sequence)]
    assert again == batch
    (envelope,) = again.envelopes
    assert (envelope.signal, envelope.tenant, envelope.body) == (Signal.LOGS, "größte", b"body")
    assert (envelope.received_ns, envelope.digest) == (request.received_ns, request.digest)


def test_what_is_added_to_a_batch_comes_back_with_it_whatever_was_appended_between(directory: Path) -> None:
    spool = opened(directory, SpoolSettings(segment_bytes=1))
    first = spool.append(Signal.TRACES, accepted(b"a"))
    other = spool.append(Signal.LOGS, accepted(b"x", signal=Signal.LOGS))
    more = spool.append(Signal.TRACES, accepted(b"b", b"c"), first.sequence)
    assert (more.sequence, [each.body for each in more.envelopes]) == (first.sequence, [b"b", b"c"])
    spool = opened(directory, SpoolSettings(segment_bytes=1))
    assert spool.waiting() == [first.sequence, other.sequence]
    assert bodies(spool) == [[b"a", b"b", b"c"], [b"x"]]
    spool.settle(first, [more.envelopes[0].request_id])
    spool = opened(directory)
    assert bodies(spool) == [[b"a", b"c"], [b"x"]]
    spool.settle(spool.read(first.sequence))
    assert bodies(opened(directory)) == [[b"x"]]


def test_of_a_batch_that_the_disk_has_partly_changed_the_rest_is_handed_out_and_the_damage_kept(
    directory: Path,
) -> None:
    spool = opened(directory)
    batch = spool.append(Signal.TRACES, accepted(b"a"))
    for body in (b"b", b"c"):
        spool.append(Signal.TRACES, accepted(body), batch.sequence)
    (path,) = segments(directory)
    data = bytearray(path.read_bytes())
    data[payloads(directory)[1][0]] ^= 1
    path.write_bytes(data)
    left = spool.read(batch.sequence)
    assert ([each.body for each in left.envelopes], left.whole) == ([b"a", b"c"], False)
    spool.settle(left)
    assert (spool.waiting(), spool.damaged_batches) == ([batch.sequence], 1)
    with pytest.raises(SpoolDamaged, match="Run `llmhub spool repair`"):
        spool.read(batch.sequence)
    spool.close()
    refuses(directory)


def test_a_file_cut_anywhere_loses_the_torn_record_only_and_says_so(
    directory: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(directory, b"first", b"second", b"third")
    (path,) = segments(directory)
    whole = path.read_bytes()
    ends = ends_of_records(path)
    for cut in range(HEADER_BYTES, len(whole) + 1):
        path.write_bytes(whole[:cut])
        caplog.clear()
        spool = opened(directory)
        complete = sum(end <= cut for end in ends)
        assert bodies(spool) == [[b"first"], [b"second"], [b"third"]][:complete]
        assert (TORN in caplog.text) == (cut not in (HEADER_BYTES, *ends))
        if cut % 7 == 0:  # what is appended behind it is as good as ever
            spool.append(Signal.TRACES, accepted(b"next"))
            assert bodies(opened(directory))[complete:] == [[b"next"]]
        spool.close()
        reset(directory, path, whole)


def test_a_file_without_a_whole_header_is_damaged(directory: Path) -> None:
    """A header is written under another name first, so no crash leaves half of one."""
    filled(directory, b"first")
    (path,) = segments(directory)
    whole = path.read_bytes()
    for cut in range(HEADER_BYTES):
        path.write_bytes(whole[:cut])
        refuses(directory)
        assert path.read_bytes() == whole[:cut], "nothing has been changed"


def test_a_flipped_byte_before_the_last_record_is_damage_and_stops_the_start(directory: Path) -> None:
    filled(directory, b"first", b"second", b"third")
    (path,) = segments(directory)
    whole = path.read_bytes()
    for at in range(ends_of_records(path)[1]):
        changed = bytes([*whole[:at], whole[at] ^ 0x40, *whole[at + 1 :]])
        path.write_bytes(changed)
        refuses(directory)
        assert path.read_bytes() == changed, "nothing has been changed"


def test_a_flipped_byte_in_the_last_record_makes_it_a_torn_one(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(directory, b"first", b"second", b"third")
    (path,) = segments(directory)
    whole = path.read_bytes()
    for at in range(ends_of_records(path)[1], len(whole)):
        path.write_bytes(bytes([*whole[:at], whole[at] ^ 1, *whole[at + 1 :]]))
        caplog.clear()
        spool = opened(directory)
        assert bodies(spool) == [[b"first"], [b"second"]]
        assert TORN in caplog.text
        spool.close()
        reset(directory, path, whole)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_happens_to_the_bytes_nothing_comes_back_that_was_not_appended(data: st.DataObject) -> None:
    appended = [b"first" * 9, b"second" * 40, b"third" * 5]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        filled(directory, *appended)
        (path,) = segments(directory)
        whole = path.read_bytes()
        start = data.draw(st.integers(0, len(whole)))
        end = data.draw(st.integers(start, len(whole)))
        path.write_bytes(whole[:start] + data.draw(st.binary(max_size=60)) + whole[end:])
        try:
            spool = opened(directory)
        except SpoolDamaged:
            return
        found = bodies(spool)
        spool.close()
    assert found == [[each] for each in appended[: len(found)]]


def test_a_torn_end_of_an_older_file_is_damage(directory: Path) -> None:
    spool = opened(directory, SpoolSettings(segment_bytes=100))
    for body in (b"first", b"second"):
        spool.append(Signal.TRACES, accepted(body))
    spool.close()
    older = segments(directory)[0]
    older.write_bytes(older.read_bytes()[:-1])
    refuses(directory)


def test_what_a_batch_was_settled_is_told_apart_from_a_later_one_of_the_same_place(directory: Path) -> None:
    """The last record is lost after it was settled: its sequence number and request ids are not given out again, or
    the store would take the next batch for a repetition of it."""
    spool = opened(directory)
    spool.append(Signal.TRACES, accepted(b"first"))
    lost = spool.append(Signal.TRACES, accepted(b"second"))
    spool.settle(lost)
    spool.close()
    (path,) = segments(directory)
    path.write_bytes(path.read_bytes()[:-1])
    spool = opened(directory)
    later = spool.append(Signal.TRACES, accepted(b"third"))
    spool.close()
    assert later.sequence > lost.sequence
    assert later.envelopes[0].request_id > lost.envelopes[0].request_id
    assert bodies(opened(directory)) == [[b"first"], [b"third"]]


def test_a_damaged_note_of_what_is_settled_costs_a_repetition_and_no_batch(directory: Path) -> None:
    spool = opened(directory)
    made = [spool.append(Signal.TRACES, accepted(body)) for body in (b"first", b"second", b"third")]
    spool.settle(made[0])
    spool.settle(made[1])
    spool.close()
    (beside,) = directory.glob("*.settled")
    notes = beside.read_bytes()
    for cut in range(len(notes) + 1):
        beside.write_bytes(notes[:cut])
        spool = opened(directory)
        left = bodies(spool)
        assert left in ([[b"third"]], [[b"second"], [b"third"]], [[b"first"], [b"second"], [b"third"]])
        if len(left) < 3:
            spool.settle(spool.read(made[2].sequence))
            spool.close()
            assert [b"third"] not in bodies(opened(directory))
        spool.close()


def test_another_key_is_told_and_changes_nothing(directory: Path) -> None:
    filled(directory, b"first")
    before = {path: path.read_bytes() for path in directory.iterdir()}
    with pytest.raises(SpoolError, match=r"another key: set collector\.spool\.key_file") as told:
        opened(directory, cipher=Cipher(bytes(32)))
    assert not isinstance(told.value, SpoolDamaged)
    assert {path: path.read_bytes() for path in directory.iterdir()} == before


def test_nothing_can_be_read_in_the_clear(directory: Path) -> None:
    spool = opened(directory)
    secret = b"the prompt of a customer"
    batch = spool.append(Signal.TRACES, accepted(secret, tenant="a-tenant-with-a-name"))
    again = spool.append(Signal.TRACES, accepted(secret, tenant="a-tenant-with-a-name"))
    spool.settle(batch, [batch.envelopes[0].request_id])
    on_disk = b"".join(path.read_bytes() for path in directory.iterdir())
    assert secret not in on_disk
    assert b"a-tenant" not in on_disk
    first, second = (segments(directory)[0].read_bytes()[start:end] for start, end in payloads(directory))
    assert first != second, "the same batch is sealed anew"
    assert bodies(spool) == [[], [secret]]
    assert again.sequence in spool.waiting()


def test_a_record_in_the_place_of_another_is_not_taken_for_it(directory: Path) -> None:
    """The seal covers the sequence number, so bytes that were moved do not open."""
    filled(directory, b"first", b"other")
    (path,) = segments(directory)
    whole = path.read_bytes()
    (start, end), (start2, end2) = payloads(directory)
    with pytest.raises(ValueError, match="sealed with another key"):
        CIPHER.open(whole[start:end], (2).to_bytes(8, "little"))
    assert b"first" in CIPHER.open(whole[start:end], (1).to_bytes(8, "little"))
    assert b"other" in CIPHER.open(whole[start2:end2], (2).to_bytes(8, "little"))


def test_nobody_else_may_read_the_files(directory: Path, tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        cipher = open_key(tmp_path / "keys" / "spool.key")
        spool = opened(directory, cipher=cipher)
        batch = spool.append(Signal.TRACES, accepted(b"first", b"second"))
        spool.settle(batch, [batch.envelopes[0].request_id])
    finally:
        os.umask(mask)
    modes = {path.name: path.stat().st_mode & 0o777 for path in [*directory.iterdir(), tmp_path / "keys" / "spool.key"]}
    assert set(modes.values()) == {0o600}, modes
    assert directory.stat().st_mode & 0o777 == (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


def test_a_key_is_made_once_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "spool.key"
    first, second = open_key(path), open_key(path)
    assert first.key_id == second.key_id
    assert second.open(first.seal(b"data", b"context"), b"context") == b"data"
    with pytest.raises(ValueError, match="another key or have changed"):
        second.open(first.seal(b"data", b"context"), b"other")


@pytest.mark.parametrize("text", ["", "00" * 31, "x" * 64, "00" * 33])
def test_a_key_file_that_holds_no_key_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "spool.key"
    path.write_text(text)
    with pytest.raises(KeyFileError, match="openssl rand -hex 32"):
        open_key(path)
    assert path.read_text() == text


def test_a_full_spool_says_so_until_the_store_has_taken_something(directory: Path) -> None:
    spool = opened(directory, SpoolSettings(max_bytes=4_000, segment_bytes=1_000))
    batches, problem = fill(spool, 500)
    assert "collector.spool.max_bytes is 4000" in problem
    assert 3 <= len(batches) < 8
    assert spool.size_bytes <= 4_000
    assert "collector.spool.max_bytes" in spool.problem()
    for batch in batches:
        spool.settle(batch)
    assert spool.problem() == ""
    spool.append(Signal.TRACES, accepted(b"again" * 100))
    assert bodies(opened(directory)) == [[b"again" * 100]]


def test_a_batch_larger_than_the_spool_is_refused_and_smaller_ones_are_safe(directory: Path) -> None:
    spool = opened(directory, SpoolSettings(max_bytes=1_000))
    with pytest.raises(SpoolFull):
        spool.append(Signal.TRACES, accepted(b"x" * 2_000))
    spool.append(Signal.TRACES, accepted(b"small"))
    assert bodies(opened(directory)) == [[b"small"]]


def test_a_batch_that_waits_too_long_fills_the_spool(directory: Path) -> None:
    spool = opened(directory, SpoolSettings(max_age_seconds=0.2))
    batch = spool.append(Signal.TRACES, accepted(b"first"))
    assert spool.problem() == ""
    time.sleep(0.25)
    assert spool.oldest_seconds >= 0.2
    with pytest.raises(SpoolFull, match=r"collector\.spool\.max_age_seconds is 0\.2"):
        spool.append(Signal.TRACES, accepted(b"second"))
    spool.settle(batch)
    assert (spool.problem(), spool.oldest_seconds) == ("", 0.0)
    spool.append(Signal.TRACES, accepted(b"second"))


def test_a_clock_that_goes_back_makes_nothing_old(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = opened(directory, SpoolSettings(max_age_seconds=60))
    spool.append(Signal.TRACES, accepted(b"first"))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 86_400)
    assert (spool.oldest_seconds, spool.problem()) == (0.0, "")


def test_a_disk_that_takes_a_few_bytes_at_a_time_gets_the_whole_record(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:7])))
    filled(directory, b"first", b"second" * 100)
    monkeypatch.undo()
    assert bodies(opened(directory)) == [[b"first"], [b"second" * 100]]


@pytest.mark.parametrize("call", ["write", "fdatasync"])
def test_a_write_that_fails_leaves_nothing_behind(directory: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    spool = opened(directory)
    first = spool.append(Signal.TRACES, accepted(b"first"))
    fails_once(monkeypatch, call)
    with pytest.raises(SpoolFull, match=r"collector\.spool\.path: cannot write to .*: No space left on device"):
        spool.append(Signal.TRACES, accepted(b"never"))
    second = spool.append(Signal.TRACES, accepted(b"second"))
    assert second.sequence == first.sequence + 1
    assert second.envelopes[0].request_id == first.envelopes[0].request_id + 1
    assert bodies(spool) == bodies(opened(directory)) == [[b"first"], [b"second"]]


def test_a_full_disk_refuses_and_is_usable_again_when_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "256k") as disk:
        spool = opened(disk.path / "spool")
        batches, problem = fill(spool, 10_000)
        assert "No space left on device" in problem
        kept = [[envelope.body for envelope in batch.envelopes] for batch in batches]
        assert len(kept) > 10
        assert bodies(spool) == kept
        spool.settle(batches[0])
        spool.close()
        subprocess.run(["mount", "-o", "remount,size=512k", disk.path], check=True)
        spool = opened(disk.path / "spool")
        assert bodies(spool) in (kept, kept[1:])  # the note of what is settled may not have found room
        spool.append(Signal.TRACES, accepted(b"more"))
        assert bodies(spool)[-1] == [b"more"]
        spool.close()


def test_a_spool_that_has_filled_its_disk_by_itself_gives_back_what_is_settled(tmp_path: Path) -> None:
    """A file may become larger than the disk: where there is no room, the one that is settled goes."""
    with small_disk(tmp_path / "disk", "256k") as disk:
        spool = opened(disk.path / "spool")
        for _ in range(3):
            batches, problem = fill(spool, 10_000)
            assert "No space left on device" in problem
            assert len(batches) > 10
            for batch in batches:
                spool.settle(batch)
            assert fill(spool, 10_000, at_most=1)[0] == [], "this one still finds the disk full, and makes room"
        batches, _ = fill(spool, 10_000, at_most=3)
        spool.close()
        assert opened(disk.path / "spool").waiting() == [batch.sequence for batch in batches]


def test_where_there_is_no_room_for_another_file_either_what_comes_next_follows_the_header(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = opened(directory)
    spool.settle(spool.append(Signal.TRACES, accepted(b"settled")))

    def full(*args: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for name in ("write_record", "create"):
        monkeypatch.setattr(f"collector.spool.files.{name}", full)
    with pytest.raises(SpoolFull):
        spool.append(Signal.TRACES, accepted(b"never"))
    monkeypatch.undo()
    spool.append(Signal.TRACES, accepted(b"again"))
    assert bodies(opened(directory)) == [[b"again"]]


LIMITED = """
import resource, sys
from pathlib import Path
from tests.collector.test_spool import *

resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
spool = opened(Path(sys.argv[1]))
batches = []
try:
    while len(batches) < 100:
        batches.append(spool.append(Signal.TRACES, accepted(b"%d" % (len(batches) % 10) * 9_000)))
except SpoolFull as error:
    assert error.__cause__.errno == errno.EFBIG, error
assert len(batches) == 5, len(batches)
spool.append(Signal.TRACES, accepted(b"fits"))
assert bodies(spool) == [[b"%d" % number * 9_000] for number in range(5)] + [[b"fits"]]
spool.settle(batches[2])
"""


def test_a_quota_on_files_refuses_what_does_not_fit_and_keeps_the_rest(directory: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", LIMITED, directory], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert bodies(opened(directory)) == [[b"%d" % number * 9_000] for number in (0, 1, 3, 4)] + [[b"fits"]]


def test_a_directory_that_cannot_be_used_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError, match=r"collector\.spool\.path: cannot use .*: Not a directory"):
        opened(tmp_path / "file" / "spool")


def fill(spool: Spool, size: int, at_most: int = 1_000) -> tuple[list[Batch], str]:
    """Append until the spool refuses; what it took, and why it took no more."""
    batches: list[Batch] = []
    for number in range(at_most):
        try:
            batches.append(spool.append(Signal.TRACES, accepted(b"%d" % (number % 10) * size)))
        except SpoolFull as error:
            return batches, str(error)
    return batches, ""


def refuses(directory: Path) -> None:
    with pytest.raises(SpoolDamaged, match="Run `llmhub spool repair`"):
        opened(directory)


def reset(directory: Path, path: Path, content: bytes) -> None:
    for each in directory.iterdir():
        each.unlink()
    path.write_bytes(content)


def payloads(directory: Path) -> list[tuple[int, int]]:
    """Where the payloads are in the first file."""
    return [(record.start, record.end) for record in scan(segments(directory)[0]).records]


def ends_of_records(path: Path) -> list[int]:
    return [record.end for record in scan(path).records]


def fails_once(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """The next `os.<call>` finds the disk full; a write takes half of what it was given before."""
    real = getattr(os, call)

    def fail(fd: int, *data: bytes) -> int:
        monkeypatch.setattr(os, call, real)
        if data:
            real(fd, data[0][: len(data[0]) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, fail)


def test_after_a_restart_of_the_machine_what_was_settled_is_handed_out_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store may have lost what its disk had not; what it has not lost it recognises."""
    spool = opened(tmp_path)
    first, second = (spool.append(Signal.TRACES, accepted(b"x")) for _ in range(2))
    spool.settle(first)
    assert opened(tmp_path).waiting() == [second.sequence]
    monkeypatch.setattr("collector.spool.recovery.boot_id", lambda: "another")
    assert opened(tmp_path).waiting() == [first.sequence, second.sequence]
    assert opened(tmp_path).waiting() == [first.sequence, second.sequence], "killed before it was inserted again"


def test_files_go_only_when_the_store_is_on_its_disk(tmp_path: Path) -> None:
    flushed: list[int] = []
    fails = True

    def flush() -> None:
        flushed.append(len(list(tmp_path.glob("*.spool"))))
        if fails:
            raise OSError("no")

    spool = Spool(tmp_path, CIPHER, SpoolSettings(segment_bytes=1), flush)
    for batch in [spool.append(Signal.TRACES, accepted(b"x")) for _ in range(3)]:
        spool.settle(batch)
    spool.remove_settled()
    assert flushed == [3]
    assert len(list(tmp_path.glob("*.spool"))) == 3
    fails = False
    spool.remove_settled()
    assert len(list(tmp_path.glob("*.spool"))) == 1


def test_the_spool_takes_batches_while_the_store_is_flushed(tmp_path: Path) -> None:
    begun, finish = threading.Event(), threading.Event()

    def flush() -> None:
        begun.set()
        assert finish.wait(20)

    spool = Spool(tmp_path, CIPHER, SpoolSettings(segment_bytes=1), flush)
    for batch in [spool.append(Signal.TRACES, accepted(b"settled")) for _ in range(3)]:
        spool.settle(batch)
    removal = threading.Thread(target=spool.remove_settled)
    removal.start()
    assert begun.wait(20)
    late = spool.append(Signal.TRACES, accepted(b"late"))
    spool.settle(late)
    last = spool.append(Signal.TRACES, accepted(b"last"))
    finish.set()
    removal.join()
    # What was settled after the flush had begun may not be on the store's disk.
    assert len(list(tmp_path.glob("*.spool"))) == 3
    spool.close()
    assert opened(tmp_path).waiting() == [last.sequence]
