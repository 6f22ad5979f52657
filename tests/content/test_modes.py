"""keep, mask, drop and metadata-only, by tenant and service."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from collector.periodic import Periodic
from llmhub.content import PolicyWatch, apply, read_policy
from storage.content_policy import ContentPolicy, ContentSettings, ModeRule, PolicyError, keep_for
from storage.embedded import EmbeddedStore
from tests.content.sending import chat, content, send, texts


def test_keep_stores_the_redacted_text(policy_store: EmbeddedStore) -> None:
    send(policy_store, "mode-keep", chat("hello bob@example.com"))
    (row,) = content(policy_store, "mode-keep")
    assert row["role"] == "user"
    assert json.loads(row["text"])["parts"][0]["content"] == "hello [email]"
    assert row["length"] == len(row["text"])


def test_mask_keeps_role_and_length(policy_store: EmbeddedStore) -> None:
    ContentPolicy(modes=(ModeRule("mask", tenant="mode-mask"),)).load(policy_store)
    send(policy_store, "mode-mask", chat("hello world"))
    (row,) = content(policy_store, "mode-mask")
    assert (row["role"], row["text"]) == ("user", "*" * row["length"])
    assert row["length"] > len("hello world")


def test_drop_stores_nothing(policy_store: EmbeddedStore) -> None:
    ContentPolicy(modes=(ModeRule("drop", tenant="mode-drop"),)).load(policy_store)
    send(policy_store, "mode-drop", chat("hello world"))
    assert content(policy_store, "mode-drop") == []
    assert policy_store.rows("SELECT 1 FROM otel_traces WHERE Tenant = 'mode-drop'")


def test_metadata_only_tells_equal_messages_without_their_text(policy_store: EmbeddedStore) -> None:
    ContentPolicy(modes=(ModeRule("metadata-only", tenant="mode-meta"),)).load(policy_store)
    send(policy_store, "mode-meta", chat("hello", "hello", "bye"))
    first, second, third = content(policy_store, "mode-meta")
    assert {row["text"] for row in (first, second, third)} == {""}
    assert first["role"] == "user"
    assert first["length"] > 0
    assert first["hash"] == second["hash"] != third["hash"]


def test_the_most_specific_rule_wins(policy_store: EmbeddedStore) -> None:
    rules = (
        ModeRule("drop", tenant="acme"),
        ModeRule("keep", tenant="acme", service="shop"),
        ModeRule("drop", service="shop"),
    )
    ContentPolicy(mode="drop", modes=rules).load(policy_store)
    send(policy_store, "acme", chat("of the shop"))
    send(policy_store, "others", chat("of another shop"))
    assert len(texts(policy_store, "acme")) == 1
    assert texts(policy_store, "others") == []


def test_without_a_policy_nothing_is_stored(policy_store: EmbeddedStore) -> None:
    policy_store.execute("TRUNCATE TABLE llm_content_modes")
    policy_store.execute("SYSTEM RELOAD DICTIONARY llm_content_mode")
    send(policy_store, "no-policy", chat("hello"))
    assert content(policy_store, "no-policy") == []
    policy_store.execute("TRUNCATE TABLE llm_reference")  # so that it is loaded again


def test_a_changed_policy_file_holds_without_a_restart(policy_store: EmbeddedStore, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("modes: []\n")
    settings = ContentSettings(policy_file=str(file))
    apply(settings, policy_store)

    async def change() -> None:
        watch = Periodic("content policy", PolicyWatch(settings, policy_store).check, 0.02)
        watch.start()
        file.write_text("modes: [{tenant: reloaded, mode: drop}]\n")
        os.utime(file, (1, 1))
        while not policy_store.rows("SELECT 1 WHERE dictHas('llm_content_mode', ('reloaded', ''))"):
            await asyncio.sleep(0.02)
        file.write_text("modes: [{tenant: reloaded, mode: shred}]\n")
        os.utime(file, (2, 2))
        await asyncio.sleep(0.2)
        await watch.stop(10)

    asyncio.run(asyncio.wait_for(change(), 30))
    send(policy_store, "reloaded", chat("hello"))
    assert content(policy_store, "reloaded") == []


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("modes: [{mode: shred}]", "keep, mask, drop, metadata-only"),
        ("modes: [{mode: keep, team: a}]", "tenant and service"),
        ("rules: []", "modes and redactions"),
        ("- a", "a mapping"),
        ("a: [", "cannot read"),
    ],
)
def test_a_policy_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, remedy: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(PolicyError, match=remedy):
        read_policy(ContentSettings(policy_file=str(file)))


def test_content_has_a_retention_of_its_own(llm_store: EmbeddedStore) -> None:
    keep_for(llm_store, 7)
    for table in ("llm_content", "llm_call_messages"):
        assert "toIntervalDay(7)" in llm_store.query(f"SHOW CREATE TABLE {table}").decode()
    keep_for(llm_store, 30)
