"""Questions to the store that are longer than a line, each in a .sql file beside this one."""

from __future__ import annotations

from importlib import resources


def text(name: str) -> str:
    """The SQL of `name`.sql; its parameters stand in it as {name:Type}."""
    return resources.files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
