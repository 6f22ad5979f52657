"""What an operator adds to the attributes that are content."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from collector.signals import Signal
from llmhub.config import ConfigError, load
from receivers.tail_records import Shown, records
from storage import reference
from storage.content import ContentKey, ContentKeys
from storage.embedded import EmbeddedStore
from tests.content.sending import content, send, span

OWN = (ContentKey("app.question", "input"), ContentKey("reply", "output", "acme.bot"))
TURNS = {"app.turns.0.text": "one", "app.turns.1.text": "two"}


@pytest.fixture
def own_keys(llm_store: EmbeddedStore) -> Iterator[EmbeddedStore]:
    """The session's store with OWN; afterwards without."""
    reference.load(llm_store, content_keys=OWN)
    yield llm_store
    reference.load(llm_store)


def test_attributes_of_your_own_are_content(own_keys: EmbeddedStore) -> None:
    said = {"app.question": "Who am I?", "app.turns.0.text": "kept", "reply": "Nobody.", "app.name": "bot"}
    send(own_keys, "own-keys", span(said, scope="acme.bot"))
    assert [(row["direction"], row["text"]) for row in content(own_keys, "own-keys")] == [
        ("input", "Who am I?"),
        ("output", "Nobody."),
    ]
    (row,) = own_keys.rows("SELECT SpanAttributes AS attributes FROM otel_traces WHERE Tenant = 'own-keys'")
    assert row["attributes"] == {"app.turns.0.text": "kept", "app.name": "bot"}


@pytest.mark.parametrize("scope", ["", "acme.bot"])
def test_a_flattened_list_is_known_by_what_stands_before_its_numbers(llm_store: EmbeddedStore, scope: str) -> None:
    tenant = f"own-list {scope}"
    reference.load(llm_store, content_keys=[ContentKey("app.turns", "input", scope)])
    send(llm_store, tenant, span(TURNS, scope=scope))
    reference.load(llm_store)
    assert [row["text"] for row in content(llm_store, tenant)] == ['{"text":"one"}', '{"text":"two"}']
    (row,) = llm_store.rows(
        "SELECT SpanAttributes AS attributes FROM otel_traces WHERE Tenant = {t:String}", params={"t": tenant}
    )
    assert row["attributes"] == {}


def test_what_a_convention_says_is_preferred(own_keys: EmbeddedStore) -> None:
    send(own_keys, "own-second", span({"app.question": "again", "input.value": "Who?"}))
    assert [row["text"] for row in content(own_keys, "own-second")] == ["Who?"]


def test_a_viewer_is_not_shown_them() -> None:
    request = span({"app.question": "Who am I?", "reply": "Nobody.", "app.name": "bot"}, scope="acme.bot")
    ((_, columns),) = records(Signal.TRACES, "t", request, Shown(content_keys=ContentKeys(OWN)))
    assert columns()["SpanAttributes"] == {"app.name": "bot"}


def test_they_are_a_setting() -> None:
    keys = "[{key: app.question, direction: input}, {key: reply, direction: output, scope: acme.bot}]"
    config = load(environment={"LLMHUB_STORAGE__CONTENT__KEYS": keys})
    assert config.storage.content.keys == OWN


@pytest.mark.parametrize(
    ("keys", "remedy"),
    [
        ("[{key: app.question, direction: both}]", r"storage.content.keys.0.direction"),
        ("[{key: '', direction: input}]", r"storage.content.keys.0.key: an attribute key is needed"),
        ("[{key: app.turns.0.text, direction: input}]", r"what stands before the number"),
        ("[{key: gen_ai.request.model, direction: input}]", r"fills the slot request_model"),
    ],
)
def test_a_key_that_cannot_be_content_is_refused(keys: str, remedy: str) -> None:
    with pytest.raises(ConfigError, match=remedy):
        load(environment={"LLMHUB_STORAGE__CONTENT__KEYS": keys})
