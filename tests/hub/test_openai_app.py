"""The acceptance story: an instrumented application, unchanged, and what its calls cost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hub.fake_openai import USAGE, fake_openai
from tests.hub.process import Hub, until

APP = Path(__file__).with_name("openai_app.py")


def test_five_calls_of_an_instrumented_openai_app_are_priced_within_five_seconds(
    hub: Hub, service: str, tmp_path: Path
) -> None:
    with fake_openai() as endpoint:
        environment = {
            **os.environ,
            "OPENAI_BASE_URL": endpoint,
            "OPENAI_API_KEY": "none",
            "OTEL_SERVICE_NAME": service,
            "OTEL_EXPORTER_OTLP_ENDPOINT": hub.url("OTLP gRPC"),
        }
        app = subprocess.run(
            [sys.executable, APP], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )
    assert (app.returncode, app.stderr) == (0, "")
    sql = f"SELECT * FROM llm_calls WHERE service = '{service}'"
    until(lambda: len(hub.rows(sql)) == 5, seconds=5)
    calls = hub.rows(sql)
    assert len(calls) == 5
    for call in calls:
        assert (call["operation"], call["provider"], call["model"]) == ("chat", "openai", "gpt-4o-mini-2024-07-18")
        assert (call["input_tokens"], call["output_tokens"]) == (USAGE["prompt_tokens"], USAGE["completion_tokens"])
        assert call["cost"] == pytest.approx((120 * 0.15 + 42 * 0.60) / 1e6)
        assert call["duration"] > 0
        assert not call["is_error"]
