"""What becomes of content: the mode of each tenant and service, and what is redacted.

Both are rows of dictionaries that the views look up, so a changed policy holds from the next insert on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from storage import data, reference
from storage.content import ContentKey
from storage.reference import Reference
from storage.store import Store, StoreError

Mode = Literal["keep", "mask", "drop", "metadata-only"]
MODES = get_args(Mode)
CHECKS = ("", "luhn")


class PolicyError(StoreError):
    """The policy cannot be used; str() names the entry at fault and what it must be."""


@dataclass(frozen=True)
class ContentSettings:
    """`keys` are attributes that are content in addition to storage/data/content.csv. `policy_file` is YAML with modes and
    redactions; it is read again when it changes."""

    mode: Mode = "keep"
    keys: tuple[ContentKey, ...] = ()
    policy_file: str = ""
    retention_days: int = 30


@dataclass(frozen=True)
class ModeRule:
    """The mode of a tenant's service; '' stands for all of them. tenant and service, then tenant, then service wins."""

    mode: Mode
    tenant: str = ""
    service: str = ""


@dataclass(frozen=True)
class Redaction:
    """A regular expression (RE2) and what its matches become, where \\1 is a group.

    `hint` is a cheap pattern without which `pattern` cannot match; empty: `pattern` itself. JSON is redacted as text,
    so a line break before a match may stand there as \\n. With the check `luhn` only digits with a right check digit,
    such as those of a card, are replaced.
    """

    name: str
    pattern: str
    replacement: str = ""
    hint: str = ""
    check: str = ""


@dataclass(frozen=True)
class ContentPolicy:
    """`modes` and `redactions`, the latter in addition to those of storage/data/redactions.csv."""

    mode: Mode = "keep"
    modes: tuple[ModeRule, ...] = ()
    redactions: tuple[Redaction, ...] = ()

    def load(self, store: Store) -> bool:
        """Put it into force; returns whether it is another than before. Raises PolicyError and leaves the one before."""
        for redaction in self.redactions:
            _check(store, redaction)
        return bool(reference.load_references(store, self._references()))

    def _references(self) -> tuple[Reference, ...]:
        modes, redactions = list(self._modes()), self._redactions()
        return (
            Reference("llm_content_modes", "llm_content_mode", lambda: _digest(modes), lambda: modes),
            Reference("llm_redactions", "llm_redaction", lambda: _digest(redactions), lambda: [redactions]),
        )

    def _modes(self) -> Iterator[dict[str, str]]:
        yield asdict(ModeRule(self.mode))
        yield from map(asdict, self.modes)

    def _redactions(self) -> dict[str, Any]:
        rules = [*built_in(), *self.redactions]
        return {
            "name": "",
            "hints": [rule.hint or rule.pattern for rule in rules],
            "patterns": [rule.pattern for rule in rules],
            "replacements": [rule.replacement or f"[{rule.name}]" for rule in rules],
            "checks": [rule.check for rule in rules],
        }


def built_in() -> list[Redaction]:
    """The redactions that every hub applies."""
    return [Redaction(**row) for row in data.rows("redactions")]


def keep_for(store: Store, days: int) -> None:
    """Set how many days content is kept. Raises StoreError."""
    for table, column in (("llm_content", "day"), ("llm_call_messages", "toDate(timestamp)")):
        (row,) = store.rows(
            "SELECT create_table_query AS ddl FROM system.tables WHERE database = currentDatabase() AND name = {table:String}",
            params={"table": table},
        )
        if f"toIntervalDay({days})" not in row["ddl"]:
            store.execute(f"ALTER TABLE {table} MODIFY TTL {column} + INTERVAL {int(days)} DAY")


def _check(store: Store, rule: Redaction) -> None:
    """A pattern that the engine refuses would stop every insert."""
    if rule.check not in CHECKS:
        raise PolicyError(f"the redaction {rule.name!r} has the check {rule.check!r}; there is luhn, or none")
    params = {"hint": rule.hint or rule.pattern, "pattern": rule.pattern, "replacement": rule.replacement}
    try:
        store.query(
            "SELECT multiMatchAny('x', [{hint:String}]), replaceRegexpAll(materialize('x'), {pattern:String}, {replacement:String}), "
            "match('', {pattern:String}) AS matches_nothing FORMAT Null",
            params=params,
        )
    except StoreError as error:
        raise PolicyError(
            f"the redaction {rule.name!r} cannot be used: {error.message}; write a regular expression in RE2's syntax"
        ) from error
    if store.rows("SELECT match('', {pattern:String}) AS empty", params={"pattern": rule.pattern})[0]["empty"]:
        raise PolicyError(f"the redaction {rule.name!r} matches the empty text: its pattern must need a character")


def _digest(rows: Any) -> str:
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
