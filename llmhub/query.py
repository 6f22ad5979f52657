"""Rows from the store: directly, or through the hub that holds it."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from llmhub.config import Config
from llmhub.hub import open_configured
from storage.embedded import StoreBusy
from storage.store import Store, StoreError, open_store


def open_reader(config: Config) -> Store:
    """The configured store for reading. When a running hub holds the embedded one, that hub's ClickHouse
    interface, as the first of storage.clickhouse_http.users. Raises StoreError."""
    try:
        return open_configured(config)
    except StoreBusy as busy:
        if busy.owner is None or not busy.owner.url:
            raise
        return open_store(_through_hub(config, busy.owner.url))


def _through_hub(config: Config, url: str) -> str:
    users = config.storage.clickhouse_http.users
    if users and users[0].password_sha256:
        raise StoreError(
            f"a running hub holds the store; query it at {url}: the configuration has only the hash of "
            f"the password of {users[0].name!r}, so this command cannot log in"
        )
    name, password = (users[0].name, users[0].password) if users else ("default", "")
    return f"clickhouse://{quote(name, safe='')}:{quote(password, safe='')}@{urlsplit(url).netloc}/llm"
