"""A spool on a bad disk: what can be read is kept, what cannot is named."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from collector.signals import Signal
from collector.spool import Cipher, Spool, SpoolDamaged, SpoolError, SpoolSettings
from collector.spool.repair import repair
from collector.spool.segment import HEADER_BYTES, Record, scan
from collector.spool.spool import Accepted, Batch
from tests.collector.test_spool import crash_of

CIPHER = Cipher(bytes(32))


def accepted(text: str) -> Accepted:
    return Accepted(Signal.LOGS, "tenant", text.encode() * 20, time.time_ns(), text.encode()[:16].ljust(16, b"."))


def fill(directory: Path, *batches: int, segment_bytes: int = 1 << 20) -> list[Batch]:
    """Batches of so many requests each."""
    spool = Spool(directory, CIPHER, SpoolSettings(segment_bytes=segment_bytes))
    try:
        return [
            spool.append(Signal.LOGS, [accepted(f"batch {number} request {place}") for place in range(size)])
            for number, size in enumerate(batches, 1)
        ]
    finally:
        spool.close()


def left(directory: Path) -> dict[int, list[int]]:
    """What a new Spool finds: sequence number -> request ids. It goes on behind the last of them."""
    spool = Spool(directory, CIPHER, SpoolSettings())
    try:
        found = {each: [e.request_id for e in spool.read(each).envelopes] for each in spool.waiting()}
        known = max((request_id for ids in found.values() for request_id in ids), default=0)
        assert spool.issued()[0] > known
        return found
    finally:
        spool.close()


def ids(batch: Batch) -> list[int]:
    return [envelope.request_id for envelope in batch.envelopes]


def segments(directory: Path) -> list[Path]:
    return [path for path in sorted(directory.glob("*.spool")) if scan(path).records]


def records(directory: Path) -> list[Record]:
    return [record for path in segments(directory) for record in scan(path).records]


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0x40
    path.write_bytes(data)


@pytest.mark.parametrize("where", ["head", "payload"])
def test_a_batch_that_has_changed_is_set_aside_and_the_others_stay(tmp_path: Path, where: str) -> None:
    batches = fill(tmp_path, 3, 5, 2)
    victim = records(tmp_path)[1]
    flip(victim.path, victim.start + (-10 if where == "head" else 30))
    with pytest.raises(SpoolDamaged, match="llmhub spool repair"):
        Spool(tmp_path, CIPHER, SpoolSettings())
    untouched = victim.path.read_bytes()

    (loss,) = repair(tmp_path, CIPHER)
    assert (loss.records, loss.stored, loss.requests, loss.open_end) == ([2], [], 5, False)
    assert loss.request_ids == [(ids(batches[1])[0], ids(batches[1])[-1])]
    ((start, end),) = loss.damaged
    assert victim.path.with_suffix(".damaged").read_bytes() == untouched[start:end]
    assert left(tmp_path) == {1: ids(batches[0]), 3: ids(batches[2])}
    assert repair(tmp_path, CIPHER) == []


def test_a_batch_that_the_store_had_already_is_no_loss(tmp_path: Path) -> None:
    spool = Spool(tmp_path, CIPHER, SpoolSettings())
    batches = [spool.append(Signal.LOGS, [accepted(name)]) for name in ("a", "b", "c")]
    spool.settle(batches[1])
    spool.close()
    victim = records(tmp_path)[1]
    flip(victim.path, victim.start)
    (loss,) = repair(tmp_path, CIPHER)
    assert (loss.records, loss.stored) == ([2], [2])
    assert left(tmp_path) == {1: ids(batches[0]), 3: ids(batches[2])}


def test_damage_at_the_end_of_a_file_that_others_follow_is_measured_by_the_next_one(tmp_path: Path) -> None:
    batches = fill(tmp_path, 2, 4, 1, segment_bytes=600)
    assert len(segments(tmp_path)) > 1
    victim = next(record for record in records(tmp_path) if record.sequence == 1)
    flip(victim.path, victim.end - 1)
    with pytest.raises(SpoolDamaged):
        Spool(tmp_path, CIPHER, SpoolSettings())
    (loss,) = repair(tmp_path, CIPHER)
    assert 1 in loss.records
    assert loss.request_ids[0][0] == ids(batches[0])[0]
    assert loss.requests >= 2
    assert left(tmp_path)[3] == ids(batches[2])


def test_a_file_without_its_header_keeps_its_batches(tmp_path: Path) -> None:
    batches = fill(tmp_path, 2, 4)
    (path,) = segments(tmp_path)
    flip(path, 3)
    (loss,) = repair(tmp_path, CIPHER)
    assert (loss.records, loss.damaged) == ([], [(0, HEADER_BYTES)])
    assert left(tmp_path) == {1: ids(batches[0]), 2: ids(batches[1])}


def test_a_file_of_which_nothing_can_be_read_goes_and_is_kept_aside(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    (path,) = segments(tmp_path)
    garbage = os.urandom(path.stat().st_size)
    path.write_bytes(garbage)
    (loss,) = repair(tmp_path, CIPHER)
    assert loss.open_end
    assert path.with_suffix(".damaged").read_bytes() == garbage
    assert left(tmp_path) == {}


def test_a_torn_end_is_no_damage(tmp_path: Path) -> None:
    batches = fill(tmp_path, 2, 4)
    last = records(tmp_path)[-1]
    os.truncate(last.path, last.end - 7)
    assert repair(tmp_path, CIPHER) == []
    assert left(tmp_path) == {1: ids(batches[0])}


def test_what_the_lost_last_batch_had_settled_does_not_hide_the_one_that_gets_its_number(tmp_path: Path) -> None:
    spool = Spool(tmp_path, CIPHER, SpoolSettings())
    spool.settle(spool.append(Signal.LOGS, [accepted("a")]))
    crash_of(spool)
    (record,) = records(tmp_path)
    flip(record.path, record.end - 1)
    again = fill(tmp_path, 1)
    assert left(tmp_path) == {again[0].sequence: ids(again[0])}


def test_a_directory_belongs_to_one_process(tmp_path: Path) -> None:
    spool = Spool(tmp_path, CIPHER, SpoolSettings())
    with pytest.raises(SpoolError, match="in use by another process"):
        Spool(tmp_path, CIPHER, SpoolSettings())
    with pytest.raises(SpoolError, match="in use by another process"):
        repair(tmp_path, CIPHER)
    spool.close()
    assert repair(tmp_path, CIPHER) == []


def test_another_key_repairs_nothing(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    with pytest.raises(SpoolError, match=r"collector\.spool\.key_file"):
        repair(tmp_path, Cipher(b"\x01" * 32))


def test_ids_that_wait_are_told_in_ranges(tmp_path: Path) -> None:
    spool = Spool(tmp_path, CIPHER, SpoolSettings())
    batches = [spool.append(Signal.LOGS, [accepted("x")] * size) for size in (2, 3, 1)]
    first, next_id = ids(batches[0])[0], ids(batches[2])[-1] + 1
    assert spool.issued() == (next_id, [(first, next_id - 1)])
    spool.settle(batches[1])
    assert spool.issued() == (next_id, [(first, first + 1), (next_id - 1, next_id - 1)])
    spool.close()
    again = Spool(tmp_path, CIPHER, SpoolSettings())
    assert again.issued() == (next_id, [(first, first + 1), (next_id - 1, next_id - 1)])
    again.close()
