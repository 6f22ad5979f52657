"""What a command waits for before it does anything."""

from __future__ import annotations

import subprocess
import sys

RARE = {"chdb", "clickhouse_connect", "grafana", "opentelemetry.exporter", "opentelemetry.sdk"}


def test_what_only_some_commands_need_is_not_imported_for_all() -> None:
    code = f"import sys, llmhub.cli; print(*sorted({RARE} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
