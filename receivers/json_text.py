"""JSON as strangers write it: every text is read, or told why not in words that its sender understands."""

from __future__ import annotations

import json
from collections import Counter
from math import isfinite
from typing import Any

# 64 bits have 20 digits, and Python reads no more than 4300.
_MAX_DIGITS = 400
_TOLD_CHARACTERS = 60
# An empty list takes 56 bytes of memory, twenty times what it takes here, and nobody else has a turn while millions are made. Of
# telemetry a bracket is one character in sixteen at most.
_LARGE = 64 << 10
_MOST_BRACKETS = 1 / 8


class Unreadable(ValueError):
    """str() says what is wrong and where, with a full stop."""


def read(text: bytes | str, *, strict_numbers: bool = False) -> Any:
    """The value in `text`. Raises Unreadable; with `strict_numbers` also for NaN and infinities, which are no JSON."""
    if len(text) > _LARGE and _brackets(text) > len(text) * _MOST_BRACKETS:
        raise Unreadable("This is hardly more than brackets. Leave empty lists and objects out.")
    strict: dict[str, Any] = {"parse_constant": _no_number, "parse_float": _finite} if strict_numbers else {}
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_int=_integer, **strict)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        raise Unreadable(f"This is not JSON: {error.msg} at {line}column {error.colno}.") from None
    except UnicodeDecodeError as error:
        raise Unreadable(f"This is not JSON: it is no valid UTF-8 ({error.reason} at byte {error.start}).") from None
    except RecursionError:
        raise Unreadable("This nests too deeply.") from None


def _brackets(text: bytes | str) -> int:
    """The closing ones: what is not closed is not made."""
    if isinstance(text, bytes):
        return text.count(b"]") + text.count(b"}")
    return text.count("]") + text.count("}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values under one name, one would be dropped without a word."""
    found = dict(pairs)
    if len(found) < len(pairs):
        name = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise Unreadable(f"{name[:_TOLD_CHARACTERS]!r} stands twice in one object. Send it once.")
    return found


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise Unreadable(f"The number {text[:_TOLD_CHARACTERS]}... has {len(text)} digits. Send it as a text.")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise Unreadable(f"The number {text[:_TOLD_CHARACTERS]} is too large. Leave the field out.")
    return number


def _no_number(name: str) -> None:
    raise Unreadable(f"{name} is no JSON number. Leave the field out.")
