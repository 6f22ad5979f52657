"""What an operator adds to the alias table: attribute keys, kinds of operations, names of providers, dimensions.

The tables themselves are in storage/data; rows added here win over theirs.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from storage import data

Row = Mapping[str, Any]
# Slots that a resource attribute may fill where the span does not; the views know them by their rank.
RESOURCE_SLOTS = frozenset({"user_id", "session_id", "feature", "team"})
RESOURCE_RANK = 200
DIMENSION = "dimension."
_NAME = re.compile(r"[A-Za-z][\w.-]*\Z")
# The first rank of a tenant's own rows, of an operator's for all tenants, and of those that come with the program; twice as
# far from each other above RESOURCE_RANK.
_TENANT, _OPERATOR, _BUILT_IN = 0, 50, 100


class MappingError(ValueError):
    """A row that cannot be used; str() names the setting and the remedy."""


@dataclass(frozen=True)
class Alias:
    """An attribute key fills a slot; of one tenant's spans and log records, or of all."""

    slot: str
    key: str
    tenant: str = ""


@dataclass(frozen=True)
class Operation:
    """What kind of work a span is whose operation, kind or type is `value`, in whatever case."""

    value: str
    role: str
    operation: str = ""
    """gen_ai.operation.name; empty: the value."""


@dataclass(frozen=True)
class Provider:
    """What `name` is called here; empty: no provider."""

    name: str
    provider: str


@dataclass(frozen=True)
class MappingSettings:
    """Aliases of earlier lines are preferred to later ones of the same slot."""

    aliases: tuple[Alias, ...] = ()
    operations: tuple[Operation, ...] = ()
    providers: tuple[Provider, ...] = ()
    dimensions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name in llm_calls.dimensions to the attribute keys, of spans or resources, that fill it."""

    def check(self) -> None:
        """Raises MappingError."""
        _check_aliases(self)
        _check_dimensions(self)
        roles = {row["role"] for row in data.rows("operations")}
        for number, operation in enumerate(self.operations):
            if operation.role not in roles:
                raise MappingError(
                    f"storage.operations.{number}.role: {operation.role!r} is no role; known are {', '.join(sorted(roles))}"
                )
        _check_once("storage.operations", "value", [operation.value.lower() for operation in self.operations])
        _check_once("storage.providers", "name", [provider.name.lower() for provider in self.providers])

    def alias_rows(self) -> Iterator[Row]:
        """The rows of llm_aliases, with the ranks that make the better one win."""
        own = list(_own_aliases(self))
        taken = {alias.key for alias in own if not alias.tenant}
        built_in = [row for row in data.rows("aliases") if row["key"] not in taken]
        yield from _ranked([(Alias(row["slot"], row["key"]), row["dialect"]) for row in built_in], _BUILT_IN)
        yield from _ranked([(alias, "configured") for alias in own if not alias.tenant], _OPERATOR)
        yield from _ranked([(alias, "configured") for alias in own if alias.tenant], _TENANT)
        for tenant in sorted({alias.tenant for alias in own} - {""}):
            # It tells the views that the tenant has rows of its own.
            yield {"tenant": tenant, "key": "", "slot": "", "priority": 0, "dialect": "configured"}

    def operation_rows(self) -> Iterator[Row]:
        """The rows of llm_operations."""
        own = {each.value.lower(): each for each in self.operations}
        yield from (row for row in data.rows("operations") if row["value"] not in own)
        for value, each in own.items():
            yield {"value": value, "role": each.role, "operation": each.operation or value}

    def provider_rows(self) -> Iterator[Row]:
        """The rows of llm_providers."""
        own = {each.name.lower(): each.provider for each in self.providers}
        yield from (row for row in data.rows("providers") if row["name"] not in own)
        yield from ({"name": name, "provider": provider} for name, provider in own.items())

    def slots(self) -> dict[str, str]:
        """The slot of every attribute key that fills one."""
        return {row["key"]: row["slot"] for row in self.alias_rows() if row["slot"]}

    @property
    def version(self) -> str:
        """Another one when a setting has changed."""
        return hashlib.sha256(
            repr((self.aliases, self.operations, self.providers, dict(self.dimensions))).encode()
        ).hexdigest()


def may_come_from_resource(slot: str) -> bool:
    """Whether an attribute of the resource fills the slot, too."""
    return slot in RESOURCE_SLOTS or slot.startswith(DIMENSION)


def _own_aliases(settings: MappingSettings) -> Iterator[Alias]:
    yield from settings.aliases
    for name, keys in settings.dimensions.items():
        yield from (Alias(DIMENSION + name, key) for key in keys)


def _ranked(aliases: Iterable[tuple[Alias, str]], first: int) -> Iterator[Row]:
    """The order is that of preference within a slot."""
    rank: Counter[tuple[str, str]] = Counter()
    for alias, dialect in aliases:
        base = RESOURCE_RANK + 2 * first if may_come_from_resource(alias.slot) else first
        yield {
            "tenant": alias.tenant,
            "key": alias.key,
            "slot": alias.slot,
            "priority": base + rank[alias.tenant, alias.slot],
            "dialect": dialect,
        }
        rank[alias.tenant, alias.slot] += 1


def _check_aliases(settings: MappingSettings) -> None:
    slots = {row["slot"] for row in data.rows("aliases")} - {""}
    for number, alias in enumerate(settings.aliases):
        if alias.slot not in slots:
            near = difflib.get_close_matches(alias.slot, slots) or sorted(slots)
            raise MappingError(
                f"storage.aliases.{number}.slot: {alias.slot!r} is no slot; known are {', '.join(near)}. "
                "Another attribute becomes a column of llm_calls.dimensions through storage.dimensions"
            )
        if not alias.key or "\n" in alias.key + alias.tenant:
            raise MappingError(f"storage.aliases.{number}.key: an attribute key is needed, without line breaks")
    _check_once(
        "storage.aliases",
        "key",
        [f"{alias.key} of tenant {alias.tenant}" if alias.tenant else alias.key for alias in settings.aliases],
    )
    most = Counter((alias.tenant, alias.slot) for alias in settings.aliases).most_common(1)
    if most and most[0][1] > _OPERATOR:
        raise MappingError(
            f"storage.aliases: more than {_OPERATOR} keys fill the slot {most[0][0][1]}; merge them before they are sent"
        )


def _check_dimensions(settings: MappingSettings) -> None:
    built_in = {row["key"]: row["slot"] for row in data.rows("aliases")}
    taken = {alias.key: "storage.aliases" for alias in settings.aliases if not alias.tenant}
    for name, keys in settings.dimensions.items():
        setting = f"storage.dimensions.{name}"
        if not _NAME.match(name):
            raise MappingError(f"{setting}: a name is a letter, then letters, digits, '_', '.' or '-'")
        if not keys or len(keys) > _OPERATOR:
            raise MappingError(f"{setting}: needs 1 to {_OPERATOR} attribute keys, such as [cloud.region]")
        for key in keys:
            if built_in.get(key):
                raise MappingError(
                    f"{setting}: {key} fills the slot {built_in[key]} already: an attribute has one meaning"
                )
            if taken.setdefault(key, setting) != setting:
                raise MappingError(f"{setting}: {key} stands in {taken[key]} already: an attribute has one meaning")
        _check_once(setting, "key", list(keys))


def _check_once(setting: str, what: str, values: list[str]) -> None:
    for value, count in Counter(values).items():
        if count > 1:
            raise MappingError(
                f"{setting}: the {what} {value} stands there {count} times: an attribute has one meaning"
                if what == "key"
                else f"{setting}: the {what} {value} stands there {count} times"
            )
