"""A store that dies in the middle of its work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from storage.embedded import EmbeddedStore


class Crash(Exception):
    pass


class Crashing:
    """A store whose process dies before or after the first insert with `word` in it, or the first statement that has it
    before its first parenthesis."""

    def __init__(self, store: EmbeddedStore, word: str, *, after: bool) -> None:
        self._store = store
        self._word = word
        self._after = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def execute(self, sql: str) -> None:
        code = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
        self._do(code.partition("(")[0], lambda: self._store.execute(sql))

    def insert(self, table: str, *data: bytes, **options: Any) -> None:
        self._do(f"{table} {b''.join(data).decode()}", lambda: self._store.insert(table, *data, **options))

    def _do(self, text: str, act: Callable[[], None]) -> None:
        hit = self._word in text
        if self._after or not hit:
            act()
        if hit:
            raise Crash
