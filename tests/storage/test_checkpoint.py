from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from storage import checkpoint
from tests.storage.test_deduplication import inserted

TABLE = "store/abc/abcdef"


@pytest.fixture
def restarted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Has the machine started anew."""
    return lambda: monkeypatch.setattr(checkpoint, "boot_id", lambda: "another")


def with_parts(directory: Path, *names: str) -> Path:
    for name in names:
        (directory / TABLE / name).mkdir(parents=True)
    return directory


def parts(directory: Path) -> list[str]:
    return sorted(each.name for each in (directory / TABLE).iterdir() if each.name != "detached")


def aside(directory: Path) -> list[str]:
    return sorted(each.name for each in (directory / TABLE / "detached").glob("*"))


def noted(directory: Path) -> None:
    checkpoint.take(directory, lambda: None)


def test_after_a_start_of_the_machine_what_was_not_flushed_is_set_aside(
    tmp_path: Path, restarted: Callable[[], None]
) -> None:
    noted(with_parts(tmp_path, "all_1_1_0"))
    with_parts(tmp_path, "all_2_2_0", "tmp_insert_all_3_3_0")
    restarted()
    assert checkpoint.restore(tmp_path) == 1
    assert parts(tmp_path) == ["all_1_1_0", "tmp_insert_all_3_3_0"]
    assert aside(tmp_path) == ["unflushed_all_2_2_0"]


def test_while_the_machine_runs_nothing_is_set_aside(tmp_path: Path) -> None:
    noted(with_parts(tmp_path, "all_1_1_0"))
    with_parts(tmp_path, "all_2_2_0")
    assert checkpoint.restore(tmp_path) == 0
    assert parts(tmp_path) == ["all_1_1_0", "all_2_2_0"]


def test_without_a_checkpoint_or_with_a_broken_one_everything_stays(
    tmp_path: Path, restarted: Callable[[], None]
) -> None:
    with_parts(tmp_path, "all_1_1_0")
    restarted()
    assert checkpoint.restore(tmp_path) == 0
    (tmp_path / checkpoint.FILE).write_text('{"boot_id"')
    assert checkpoint.restore(tmp_path) == 0
    assert parts(tmp_path) == ["all_1_1_0"]


def test_a_merge_that_was_not_flushed_gives_way_to_what_it_was_made_of(
    tmp_path: Path, restarted: Callable[[], None]
) -> None:
    noted(with_parts(tmp_path, "all_1_1_0", "all_2_2_0"))
    with_parts(tmp_path, "all_1_2_1", "all_1_1_0_5")
    restarted()
    assert checkpoint.restore(tmp_path) == 2
    assert parts(tmp_path) == ["all_1_1_0", "all_2_2_0"]


def test_a_merge_stays_when_what_it_was_made_of_is_gone(tmp_path: Path, restarted: Callable[[], None]) -> None:
    noted(with_parts(tmp_path, "all_1_1_0", "all_2_2_0"))
    with_parts(tmp_path, "all_1_3_1", "all_4_4_0")
    (tmp_path / TABLE / "all_2_2_0").rmdir()
    restarted()
    assert checkpoint.restore(tmp_path) == 1
    assert parts(tmp_path) == ["all_1_1_0", "all_1_3_1"]


def test_what_was_merged_and_removed_in_order_is_not_missed(tmp_path: Path, restarted: Callable[[], None]) -> None:
    noted(with_parts(tmp_path, "all_1_1_0", "all_2_2_0", "all_1_2_1"))
    with_parts(tmp_path, "all_1_3_2")
    for name in ("all_1_1_0", "all_2_2_0"):
        (tmp_path / TABLE / name).rmdir()
    restarted()
    assert checkpoint.restore(tmp_path) == 1
    assert parts(tmp_path) == ["all_1_2_1"]


def test_what_was_set_aside_before_is_not_overwritten(tmp_path: Path, restarted: Callable[[], None]) -> None:
    noted(with_parts(tmp_path, "all_1_1_0"))
    restarted()
    for _ in range(2):
        with_parts(tmp_path, "all_2_2_0")
        assert checkpoint.restore(tmp_path) == 1
    assert aside(tmp_path) == ["unflushed_all_2_2_0", "unflushed_all_2_2_0_1"]


def test_a_checkpoint_is_taken_after_the_flush_and_only_when_something_is_new(tmp_path: Path) -> None:
    flushes = []
    with_parts(tmp_path, "all_1_1_0")

    def flush() -> None:
        flushes.append((tmp_path / checkpoint.FILE).exists())

    checkpoint.take(tmp_path, flush)
    checkpoint.take(tmp_path, flush)
    assert flushes == [False]
    with_parts(tmp_path, "all_2_2_0")
    checkpoint.take(tmp_path, flush)
    assert flushes == [False, True]


def test_a_flush_that_fails_leaves_the_last_checkpoint(tmp_path: Path, restarted: Callable[[], None]) -> None:
    noted(with_parts(tmp_path, "all_1_1_0"))
    with_parts(tmp_path, "all_2_2_0")
    with pytest.raises(OSError, match="full"):
        checkpoint.take(tmp_path, lambda: (_ for _ in ()).throw(OSError("full")))
    restarted()
    assert checkpoint.restore(tmp_path) == 1


def test_what_a_store_has_is_flushed_when_it_is_closed(tmp_path: Path, restarted: Callable[[], None]) -> None:
    assert inserted(tmp_path, "7") == [7]
    restarted()
    assert checkpoint.restore(tmp_path) == 0
    assert inserted(tmp_path) == [7]
