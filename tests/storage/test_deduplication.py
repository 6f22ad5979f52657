from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from storage.deduplication import forget_missing_parts

# The engine serves one directory a process, so each run is one.
INSERT = """
import sys
from pathlib import Path
from storage.embedded import EmbeddedStore

store = EmbeddedStore(Path(sys.argv[1]))
store.execute(
    "CREATE TABLE IF NOT EXISTS numbers (x UInt64) ENGINE = MergeTree PARTITION BY x % 2 ORDER BY x "
    "SETTINGS non_replicated_deduplication_window = 100"
)
for token in sys.argv[2:]:
    store.insert("numbers", token.encode(), fmt="TSV", settings={"insert_deduplication_token": token})
if len(sys.argv) > 3:
    store.execute("OPTIMIZE TABLE numbers FINAL")
print(*(row["x"] for row in store.rows("SELECT x FROM numbers ORDER BY x")))
store.close()
"""


def inserted(directory: Path, *tokens: str) -> list[int]:
    """What is in the table after a process has inserted each number under itself as token."""
    command = [sys.executable, "-c", INSERT, str(directory), *tokens]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return [int(number) for number in ran.stdout.split()]


def test_an_insert_that_died_before_its_part_was_in_place_can_be_repeated(tmp_path: Path) -> None:
    assert inserted(tmp_path, "1") == [1]
    (part,) = tmp_path.glob("store/*/*/1_1_1_0")
    part.rename(part.with_name("tmp_insert_1_1_1_0"))  # where it was before its last step
    assert inserted(tmp_path, "1") == [1]


def test_what_is_there_is_still_recognised_merged_or_not(tmp_path: Path) -> None:
    assert inserted(tmp_path, "1", "3", "2") == [1, 2, 3]
    assert inserted(tmp_path, "3") == [1, 2, 3]
    assert inserted(tmp_path, "1", "3", "2") == [1, 2, 3]


@pytest.mark.parametrize(
    ("part", "kept"),
    [
        ("20261123_7_7_0", True),
        ("20261123_5_9_2", True),
        ("20261123_7_7_0_12", True),
        ("20261123_8_9_1", False),
        ("20261124_7_7_0", False),
        ("tmp_insert_20261123_7_7_0", False),
        ("detached/20261123_7_7_0", False),
    ],
)
def test_a_note_is_kept_while_its_part_or_one_merged_from_it_exists(tmp_path: Path, part: str, kept: bool) -> None:
    table = tmp_path / "store" / "abc" / "abcdef"
    (table / part).mkdir(parents=True)
    notes = table / "deduplication_logs" / "deduplication_log_1.txt"
    notes.parent.mkdir()
    note, dropped = "1\t20261123_7_7_0\t20261123_1_2\n", "2\t20261123_1_1_0\t20261123_3_4\n"
    notes.write_text(note + dropped)
    assert forget_missing_parts(tmp_path) == (0 if kept else 1)
    assert notes.read_text() == (note + dropped if kept else dropped)


def test_what_a_loss_of_power_left_of_a_log_keeps_nothing_from_being_recognised(tmp_path: Path) -> None:
    assert inserted(tmp_path, "1") == [1]
    (log,) = tmp_path.glob("store/*/*/deduplication_logs/*.txt")
    with log.open("ab") as file:
        file.write(b"1\t1_2" + bytes(50))  # its size had reached the disk, its data had not
    assert inserted(tmp_path, "3") == [1, 3]
    assert inserted(tmp_path, "1", "3") == [1, 3]
