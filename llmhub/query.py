"""Rows from the store: directly, or through the hub that holds it."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from llmhub.config import Config
from llmhub.hub import check_store_exists, open_configured
from storage.embedded import StoreBusy
from storage.store import Store, StoreError, open_store


def open_reader(config: Config, *, may_be_new: bool = False) -> Store:
    """The configured store for reading, which exists unless it `may_be_new`. When a running hub holds the embedded one, that hub's ClickHouse
    interface, as the first of storage.clickhouse_http.users. Raises StoreError."""
    if not may_be_new:
        check_store_exists(config)
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
