"""clickhouse-go, the driver inside Grafana's ClickHouse plugin, against the live endpoint."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.storage.conftest import Endpoint

SOURCE = Path(__file__).parent.parent / "clients" / "go"
BUILD_SECONDS = 300


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled client; skips where there is no Go, or no way to its modules."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed: clickhouse-go cannot be tried")
    fetched = subprocess.run([go, "mod", "download"], cwd=SOURCE, capture_output=True, text=True, timeout=BUILD_SECONDS)
    if fetched.returncode != 0:
        pytest.skip(f"the Go modules cannot be downloaded: {fetched.stderr.strip()[-200:]}")
    binary = tmp_path_factory.mktemp("go") / "client"
    built = subprocess.run(
        [go, "build", "-mod=readonly", "-buildvcs=false", "-o", str(binary), "."],
        cwd=SOURCE,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
    )
    assert built.returncode == 0, built.stderr
    return binary


@pytest.mark.parametrize("compression", ["none", "gzip", "lz4", "zstd"])
@pytest.mark.parametrize("check", ["ping", "types", "rows", "empty", "errors", "insert", "grafana"])
def test_clickhouse_go_works(client: Path, endpoint: Endpoint, check: str, compression: str) -> None:
    command = [str(client), f"127.0.0.1:{endpoint.port}", check, compression]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
