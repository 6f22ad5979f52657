"""Which way `llmhub query` takes to the rows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llmhub.config import Config, load
from llmhub.query import open_reader
from storage.store import StoreError

HOLD = """
import sys
from storage.ownership import DirectoryLock
lock = DirectoryLock(__import__("pathlib").Path(sys.argv[1]))
lock.write(sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(directory: Path, url: str) -> Iterator[None]:
    """Another process has the store in `directory`, with its ClickHouse port at `url`."""
    command = [sys.executable, "-c", HOLD, str(directory), url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield
        finally:
            holder.communicate()


def configured(directory: Path, users: str = "[]") -> Config:
    return load(None, {"LLMHUB_STORAGE__CLICKHOUSE_HTTP__USERS": users}, dsn=f"chdb://{directory}")


def test_a_store_held_by_a_process_without_a_port_cannot_be_read(tmp_path: Path) -> None:
    with held(tmp_path, ""), pytest.raises(StoreError, match="stop that one, or set storage"):
        open_reader(configured(tmp_path))


def test_a_password_known_by_its_hash_only_cannot_be_used(tmp_path: Path) -> None:
    users = "[{name: grafana, password_sha256: " + "a" * 64 + "}]"
    with held(tmp_path, "http://127.0.0.1:9"), pytest.raises(StoreError, match=r"only the hash of .* 'grafana'"):
        open_reader(configured(tmp_path, users))


def test_a_hub_that_does_not_answer_is_an_error_with_its_address(tmp_path: Path) -> None:
    with held(tmp_path, "http://127.0.0.1:9"), pytest.raises(StoreError, match="9"):
        open_reader(configured(tmp_path))
