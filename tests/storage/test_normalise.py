"""Recorded exports of real SDKs give exactly the right calls.

golden/<sdk>.json holds, for each recording, the rows of llm_calls it must become. The provider behind the
recordings reported fixed usage: prompt 120 (64 cached), completion 42 (16 reasoning), so every number can be
checked by hand. `python -m tests.storage.test_normalise` writes the files anew, for a reviewed diff.
"""

from __future__ import annotations

import json
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from collector.envelope import wrap
from collector.signals import Signal
from storage import reference, schema
from storage.embedded import EmbeddedStore
from tests.collector.direct import store_whole

GOLDEN = Path(__file__).parent / "golden"
SDKS = (
    "otel-genai-openai",
    "openllmetry-openai",
    "openllmetry-openai-0.40-legacy",
    "openinference-openai",
    "otel-openai-v2",
)
COLUMNS = (
    "operation, provider, request_model, response_model, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, "
    "reasoning_tokens, streaming, finish_reasons, is_error, error_type, error_class, response_id, cost, dialect"
)


def recordings(sdk: str) -> list[Path]:
    folder = Path(str(resources.files("llmhub").joinpath("recordings", sdk)))
    return sorted(file for file in folder.glob("*.pb") if not file.name.endswith((".logs.pb", ".metrics.pb")))


def calls(store: EmbeddedStore, sdk: str) -> dict[str, list[dict[str, Any]]]:
    """The calls of each recording of `sdk`, all stored in one batch."""
    now = 1_800_000_000_000_000_000
    batch = [
        wrap(Signal.TRACES, f"{sdk}/{file.stem}", file.read_bytes(), request_id=number, received_ns=now)
        for number, file in enumerate(recordings(sdk))
    ]
    store_whole(store, batch)
    sql = f"SELECT {COLUMNS} FROM llm_calls WHERE tenant = {{t:String}} ORDER BY timestamp"
    return {file.stem: store.rows(sql, params={"t": f"{sdk}/{file.stem}"}) for file in recordings(sdk)}


@pytest.mark.parametrize("sdk", SDKS)
def test_recorded_exports_become_the_calls_they_were(llm_store: EmbeddedStore, sdk: str) -> None:
    found = calls(llm_store, sdk)
    expected = json.loads((GOLDEN / f"{sdk}.json").read_text())
    for name, rows in expected.items():
        assert found[name] == rows, name
    assert found.keys() == expected.keys()


@pytest.mark.parametrize("sdk", SDKS)
def test_what_golden_files_say_agrees_with_the_usage_the_provider_reported(sdk: str) -> None:
    rows = [row for rows in json.loads((GOLDEN / f"{sdk}.json").read_text()).values() for row in rows]
    chats = [row for row in rows if row["operation"] == "chat" and not row["is_error"] and row["cost"] is not None]
    assert chats
    for row in chats:
        assert (row["input_tokens"], row["output_tokens"]) == (120, 42)
        assert row["cached_input_tokens"] in (0, 64)
        expected = ((120 - row["cached_input_tokens"]) * 0.15 + row["cached_input_tokens"] * 0.075 + 42 * 0.6) / 1e6
        assert row["cost"] == pytest.approx(expected, rel=1e-12)


def test_prompts_and_answers_are_not_in_llm_calls(llm_store: EmbeddedStore) -> None:
    for sdk in SDKS:
        (row,) = llm_store.rows(
            "SELECT countIf(toString(attributes) ILIKE '%Paris%') AS leaks FROM llm_calls WHERE startsWith(tenant, {t:String})",
            params={"t": sdk},
        )
        assert row["leaks"] == 0, sdk


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        store = EmbeddedStore(f"{directory}/store")
        schema.apply(store)
        reference.load(store)
        for sdk in SDKS:
            (GOLDEN / f"{sdk}.json").write_text(json.dumps(calls(store, sdk), indent=1) + "\n")
        store.close()


if __name__ == "__main__":
    main()
