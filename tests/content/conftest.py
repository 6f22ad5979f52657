from __future__ import annotations

from collections.abc import Iterator

import pytest

from storage.content_policy import ContentPolicy
from storage.embedded import EmbeddedStore


@pytest.fixture
def policy_store(llm_store: EmbeddedStore) -> Iterator[EmbeddedStore]:
    """The session's store, whose content policy a test may change."""
    yield llm_store
    ContentPolicy().load(llm_store)
