"""SQL by its name: files of this folder, with what their ${placeholders} stand for filled in.

A placeholder names a fragment, which other files share, or a value. Migrations are applied by `storage.schema`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources

_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
_END = re.compile(r";[ \t]*$", re.MULTILINE)


def statement(name: str, /, **values: object) -> str:
    """The text of `name`.sql, such as "sweep/find", which is one statement or a part of one; as `statements`."""
    (only,) = statements(name, **values)
    return only


def statements(name: str, /, **values: object) -> list[str]:
    """Each statement of `name`.sql. Values are SQL and stand there as they are given."""
    if taken := values.keys() & fragments().keys():
        raise ValueError(f"fragments have these names, so values must have others: {', '.join(sorted(taken))}")
    return [fill(each, values) for each in split(_template(name))]


@cache
def fragments() -> dict[str, str]:
    """The SQL that files share, by the name of its placeholder. Each names the columns it expects."""
    folder = resources.files(__name__).joinpath("fragments")
    return {file.name.removesuffix(".sql"): file.read_text("utf-8").strip() for file in folder.iterdir()}


def expand(text: str, shared: Mapping[str, str]) -> str:
    """`text` with what is in `shared` filled in, which may have placeholders itself. Others stay."""
    before = ""
    while text != before:
        before, text = text, _PLACEHOLDER.sub(lambda match: shared.get(match[1], match[0]), text)
    return text


def fill(text: str, values: Mapping[str, object]) -> str:
    """`text` with its placeholders filled in, once: a value is not looked into. Raises KeyError when one is missing."""
    return _PLACEHOLDER.sub(lambda match: str(values[match[1]]), text)


def split(text: str) -> list[str]:
    """The statements of a file; one ends with `;` at the end of a line. To be done before values are filled in."""
    return [part.strip() for part in _END.split(text) if part.strip()]


@cache
def _template(name: str) -> str:
    text = resources.files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
    return expand(text.strip(), fragments())
