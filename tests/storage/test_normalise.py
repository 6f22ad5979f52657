"""Recorded exports of real SDKs become exactly the calls and steps that they were.

golden/<sdk>.json holds, for each recording, the rows of llm_calls and llm_steps it must become; columns without a value are left
out. The provider behind most recordings reported fixed usage: prompt 120 (64 cached), completion 42 (16 reasoning), so every number
can be checked by hand. `python -m tests.storage.test_normalise` writes the files anew, for a reviewed diff.
"""

from __future__ import annotations

import json
import tempfile
import zlib
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from collector.envelope import wrap
from collector.signals import Signal
from storage import reference, schema
from storage.embedded import EmbeddedStore
from tests.collector.direct import store_whole

Rows = dict[str, list[dict[str, Any]]]

GOLDEN = Path(__file__).parent / "golden"
RECORDINGS = Path(str(resources.files("llmhub").joinpath("recordings")))
SDKS = sorted(folder.name for folder in RECORDINGS.iterdir() if folder.is_dir())
TABLES = {
    "calls": "SELECT role, operation, provider, request_model, response_model, input_tokens, cached_input_tokens, cache_write_tokens, "
    "output_tokens, reasoning_tokens, input_was_exclusive, streaming, time_to_first_token, duration, finish_reasons, error_type, error_class, "
    "user_id, session_id, agent, tool, feature, team, prompt_name, prompt_version, response_id, request_id, cost, reported_cost, source, "
    "dialect, scope FROM llm_calls WHERE tenant = {t:String} ORDER BY timestamp, span_id",
    "steps": "SELECT role, operation, name, tool_call_id, agent, user_id, session_id, error_type, error_class, scope "
    "FROM llm_steps WHERE tenant = {t:String} ORDER BY timestamp, span_id",
}
RECEIVED_NS = 1_800_000_000_000_000_000


def recordings(sdk: str) -> list[Path]:
    return sorted(file for file in (RECORDINGS / sdk).glob("*.pb") if not file.name.endswith(".metrics.pb"))


def store_recordings(store: EmbeddedStore) -> None:
    """All of a signal are stored in one batch, each for a tenant of its own."""
    for signal in (Signal.TRACES, Signal.LOGS):
        batch = [
            wrap(
                signal,
                f"{sdk}/{file.stem}",
                body := file.read_bytes(),
                request_id=zlib.crc32(body),
                received_ns=RECEIVED_NS,
            )
            for sdk in SDKS
            for file in recordings(sdk)
            if file.name.endswith(".logs.pb") == (signal is Signal.LOGS)
        ]
        store_whole(store, batch)


def canonical(store: EmbeddedStore, sdk: str) -> dict[str, Rows]:
    """The rows of each recording of `sdk`."""
    found = {file.stem: rows_of(store, f"{sdk}/{file.stem}") for file in recordings(sdk)}
    return {name: rows for name, rows in found.items() if rows}


def rows_of(store: EmbeddedStore, tenant: str) -> Rows:
    found = {name: store.rows(sql, params={"t": tenant}) for name, sql in TABLES.items()}
    return {name: [{k: v for k, v in row.items() if v} for row in rows] for name, rows in found.items() if rows}


def golden(sdk: str) -> dict[str, Rows]:
    found: dict[str, Rows] = json.loads((GOLDEN / f"{sdk}.json").read_text())
    return found


@pytest.fixture(scope="module")
def recorded(llm_store: EmbeddedStore) -> EmbeddedStore:
    """The session's store with all recordings in it."""
    store_recordings(llm_store)
    return llm_store


@pytest.mark.parametrize("sdk", SDKS)
def test_recorded_exports_become_the_calls_and_steps_they_were(recorded: EmbeddedStore, sdk: str) -> None:
    found = canonical(recorded, sdk)
    expected = golden(sdk)
    for name, rows in expected.items():
        assert found[name] == rows, name
    assert found.keys() == expected.keys()


@pytest.mark.parametrize("sdk", [sdk for sdk in SDKS if "SYNTHETIC" not in sdk])
def test_what_golden_files_say_agrees_with_the_usage_the_provider_reported(sdk: str) -> None:
    calls = [call for rows in golden(sdk).values() for call in rows.get("calls", [])]
    chats = [
        call for call in calls if call["operation"] == "chat" and "error_type" not in call and "input_tokens" in call
    ]
    assert chats
    for call in chats:
        cached, written = call.get("cached_input_tokens", 0), call.get("cache_write_tokens", 0)
        if "claude" in call["request_model"]:
            assert (call["input_tokens"], call["output_tokens"], cached, written) == (140, 42, 64, 20)
            expected = (56 * 3 + 64 * 0.3 + 20 * 3.75 + 42 * 15) / 1e6
        else:
            assert (call["input_tokens"], call["output_tokens"], written) == (120, 42, 0)
            assert cached in (0, 64)
            expected = ((120 - cached) * 0.15 + cached * 0.075 + 42 * 0.6) / 1e6
        assert call["cost"] == pytest.approx(expected, rel=1e-12)


def test_every_recorded_provider_call_has_one_row(llm_store: EmbeddedStore) -> None:
    """What the fake provider answered, counted by hand where a scenario is more than one call."""
    two_turns = ("chat_tools", "agent_tools", "guard_eval")
    for sdk in SDKS:
        for name, rows in golden(sdk).items():
            if name.endswith(".logs") or "SYNTHETIC" in sdk or sdk in ("agento11y", "langfuse") or "retriever" in name:
                continue
            most = 2 if name.startswith(two_turns) else 1
            assert 1 <= len(rows["calls"]) <= most, f"{sdk}/{name}"


def test_prompts_and_answers_are_not_among_the_calls(recorded: EmbeddedStore) -> None:
    assert all(golden(sdk) for sdk in SDKS)
    for table in ("llm_calls", "llm_steps"):
        (row,) = recorded.rows(
            f"SELECT countIf(toString(attributes) ILIKE '%Paris%') AS leaks, count() AS n FROM {table}"
        )
        assert row["n"]
        assert row["leaks"] == 0, table


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        store = EmbeddedStore(f"{directory}/store")
        schema.apply(store)
        reference.load(store)
        store_recordings(store)
        for sdk in SDKS:
            text = json.dumps(canonical(store, sdk), indent=1, ensure_ascii=False)
            (GOLDEN / f"{sdk}.json").write_text(text + "\n")
        store.close()


if __name__ == "__main__":
    main()
