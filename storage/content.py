"""What is message content: which attributes and events hold it. One definition for SQL and for Python."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from storage import data
from storage.statement import quote

# An attribute that is part of a flattened list is known by the name of the list: llm.input_messages.0.message.content.
# LiteLLM puts the provider's name into the key; a finish reason is no content, wherever it stands.
_STEPS = (
    (
        r"^(?:llm\.[^.]+\.(messages|choices|contents?|candidates|input|output|instructions|system(?:_instruction)?|tools|functions)|.*\.finish_reason)$",
        r"llm.*.\1",
    ),
    (r"(?:\.\d+(?:\..*)?|(\.variables?)\..*)$", r"\1"),
)
_PARTED = r"^llm\.|\.\d|\.variable|finish_reason"
_PREFIX = {"attribute": "", "event": "event:", "event_attribute": "@"}
_ROLE = re.compile(r"gen_ai\.(system|user|assistant|tool)\.message|(?:\w+\.)?(user)_prompt")


class ContentKeyError(ValueError):
    """A key that cannot be content; str() names the setting and the remedy."""


@dataclass(frozen=True)
class ContentKey:
    """An attribute that holds what people, models or tools said; with `scope` on spans of that instrumentation scope alone."""

    key: str
    direction: Literal["system", "tools", "input", "output"]
    scope: str = ""


class ContentKeys:
    """What is content: by convention (storage/data/content.csv), and what an operator adds."""

    def __init__(self, own: Iterable[ContentKey] = ()) -> None:
        self._own = tuple(own)
        self._rows = [*data.rows("content"), *map(_row, self._own)]
        self._attributes = frozenset(_name(row) for row in self._rows if row["kind"] == "attribute")

    @property
    def version(self) -> str:
        """Another one when anything has changed."""
        return f"{data.checksum('content')} {self._own}" if self._own else data.checksum("content")

    def rows(self) -> Iterator[dict[str, str]]:
        """The rows of llm_content_keys. Within a direction the order is that of preference, an operator's last."""
        ranks: dict[tuple[str, str], str] = {}
        found: dict[str, dict[str, str]] = {}
        for row in self._rows:
            name = (row["direction"], row["source"])
            ranks.setdefault(name, f"{row['direction'][:1] or 'e'}{len(ranks):03}")
            found[_name(row)] = {"key": _name(row), "rank": ranks[name], "role": _role(row)}
        yield from found.values()
        # Looked for first: few scopes have keys of their own.
        for scope in sorted({row["scope"] for row in self._rows} - {""}):
            yield {"key": f"scope:{scope}", "rank": "", "role": ""}

    def has(self, key: str, scope: str = "") -> bool:
        """Whether an attribute of this name holds what people, models or tools said; of a span, with its instrumentation
        scope."""
        name = _listed(key)
        return name in self._attributes or f"{scope}:{name}" in self._attributes


def check_keys(keys: Iterable[ContentKey], meanings: Mapping[str, str]) -> None:
    """`meanings` has the slot of attributes that fill one: those cannot be content, too. Raises ContentKeyError."""
    for number, each in enumerate(keys):
        setting = f"storage.content.keys.{number}"
        if not each.key or _listed(each.key) != each.key:
            raise ContentKeyError(
                f"{setting}.key: an attribute key is needed; of a list that is flattened, what stands before the number"
            )
        slot = meanings.get(each.key)
        if slot and slot != "output_content":
            raise ContentKeyError(
                f"{setting}.key: {each.key} fills the slot {slot} and would not any more: an attribute has one meaning"
            )


def key_sql(key: str) -> str:
    """SQL for the name under which the attribute `key` stands in llm_content_keys. Few keys need the costly part."""
    name = key
    for pattern, replacement in _STEPS:
        name = f"replaceRegexpOne({name}, {quote(pattern)}, {quote(replacement)})"
    return f"if(match({key}, {quote(_PARTED)}), {name}, {key})"


def _listed(key: str) -> str:
    for pattern, replacement in _STEPS:
        key = re.sub(pattern, replacement, key, count=1)
    return key


def _row(own: ContentKey) -> dict[str, str]:
    return {"kind": "attribute", "source": f"own:{own.key}", **asdict(own)}


def _name(row: Mapping[str, str]) -> str:
    return (f"{row['scope']}:" if row["scope"] else _PREFIX[row["kind"]]) + row["key"]


def _role(row: Mapping[str, str]) -> str:
    found = _ROLE.fullmatch(row["key"]) if row["kind"] == "event" else None
    return (found[1] or found[2]) if found else "assistant" if row["direction"] == "output" else ""
