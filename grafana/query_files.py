"""The SQL of panels, variables and annotations: one file each in `queries/`."""

import re
from importlib.resources import files

_FRAGMENT = re.compile(r"(?<!\$)\{(\w+)\}")
_COMMENT_LINE = re.compile(r"^\s*--.*\n", re.MULTILINE)


def load(name: str) -> str:
    """The SQL of `queries/<name>.sql` as Grafana is to send it.

    Each `{fragment}` is replaced by `queries/fragments/<fragment>.sql`; Grafana's own `${variables}` and
    `$__macros` stay. Lines that are comments are left out. Raises FileNotFoundError for an unknown name.
    """
    return _read(f"{name}.sql")


def _read(path: str) -> str:
    text = _COMMENT_LINE.sub("", files("grafana").joinpath("queries", path).read_text(encoding="utf-8")).strip()
    return _FRAGMENT.sub(lambda match: _read(f"fragments/{match[1]}.sql"), text)
