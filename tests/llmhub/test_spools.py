"""Where spools are, for any number of workers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from collector.spool import SpoolSettings
from llmhub.config import Config
from llmhub.spools import leftover_spools, worker_spool

SERVER = "clickhouse://default@127.0.0.1/llm"


def configured(root: Path, workers: int) -> Config:
    config = Config().with_dsn(SERVER)
    collector = replace(config.collector, spool=SpoolSettings(path=str(root)))
    return replace(config, collector=collector, receivers=replace(config.receivers, workers=workers))


@pytest.mark.parametrize(
    ("workers", "leftovers"), [(1, ["worker-0", "worker-1", "worker-2"]), (2, ["", "worker-2"]), (3, [""])]
)
def test_every_spool_that_was_written_has_an_owner_whatever_the_number_of_workers(
    tmp_path: Path, workers: int, leftovers: list[str]
) -> None:
    for number in range(3):
        (tmp_path / f"worker-{number}").mkdir()
    (tmp_path / "0000000000000001.spool").touch()
    assert leftover_spools(configured(tmp_path, workers)) == [tmp_path / name for name in leftovers]


def test_without_spools_there_are_no_leftovers(tmp_path: Path) -> None:
    assert leftover_spools(configured(tmp_path / "nowhere", 1)) == []
    assert leftover_spools(configured(tmp_path / "nowhere", 2)) == []


def test_workers_share_the_key_of_the_spool_that_one_process_would_have(tmp_path: Path) -> None:
    first, second = (worker_spool(configured(tmp_path / "spool", 2), number) for number in range(2))
    assert (first.path, second.path) == (str(tmp_path / "spool/worker-0"), str(tmp_path / "spool/worker-1"))
    assert first.key_file == second.key_file == str(tmp_path / "spool.key")
