"""What is message content: which attributes and events hold it. One definition for SQL and for Python."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

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


def rows() -> Iterator[dict[str, str]]:
    """The rows of llm_content_keys. Within a direction the order of the file is the order of preference."""
    ranks: dict[tuple[str, str], str] = {}
    for row in data.rows("content"):
        name = (row["direction"], row["source"])
        ranks.setdefault(name, f"{row['direction'][:1] or 'e'}{len(ranks):03}")
        found = _ROLE.fullmatch(row["key"]) if row["kind"] == "event" else None
        role = (found[1] or found[2]) if found else "assistant" if row["direction"] == "output" else ""
        yield {"key": _name(row), "rank": ranks[name], "role": role}
    # Looked for first: few scopes have keys of their own.
    for scope in sorted({row["scope"] for row in data.rows("content")} - {""}):
        yield {"key": f"scope:{scope}", "rank": "", "role": ""}


def is_content(key: str, scope: str = "") -> bool:
    """Whether an attribute of this name holds what people, models or tools said; of a span, with its instrumentation scope."""
    for pattern, replacement in _STEPS:
        key = re.sub(pattern, replacement, key, count=1)
    return key in _attributes() or f"{scope}:{key}" in _attributes()


def key_sql(key: str) -> str:
    """SQL for the name under which the attribute `key` stands in llm_content_keys. Few keys need the costly part."""
    name = key
    for pattern, replacement in _STEPS:
        name = f"replaceRegexpOne({name}, {quote(pattern)}, {quote(replacement)})"
    return f"if(match({key}, {quote(_PARTED)}), {name}, {key})"


@cache
def _attributes() -> frozenset[str]:
    return frozenset(_name(row) for row in data.rows("content") if row["kind"] == "attribute")


def _name(row: Mapping[str, str]) -> str:
    return (f"{row['scope']}:" if row["scope"] else _PREFIX[row["kind"]]) + row["key"]
