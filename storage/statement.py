"""Reading SQL text just far enough to decide what may run, and writing literals into it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from storage.store import StoreError

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/|\#[!\ ][^\n]*)
      | (?P<string>'(?:[^'\\]|\\.|'')*')
      | (?P<quoted>`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*")
      | (?P<heredoc>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
      | (?P<word>[A-Za-z_0-9][\w$]*)
      | (?P<symbol>.)""",
    re.VERBOSE | re.DOTALL,
)
_READS = frozenset({"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "CHECK", "("})
_COMPOUND_PARAM = re.compile(r"\{\s*(\w+)\s*:\s*(?:Array|Map|Tuple)\b")
_WRITES = frozenset(
    {"INSERT", "CREATE", "ALTER", "DROP", "TRUNCATE", "OPTIMIZE", "RENAME", "EXCHANGE", "DELETE", "UPDATE"}
)
_FILE_WORDS = frozenset({"file", "infile", "outfile"})
_SETTING_NAME = re.compile(r"[A-Za-z_]\w*\Z")


@dataclass(frozen=True)
class Token:
    """A word, quoted name, literal or symbol with its place in the text. `text` is as written."""

    kind: str
    text: str
    start: int
    end: int

    def is_word(self, word: str) -> bool:
        return self.kind == "word" and self.text.upper() == word


def tokens(sql: str) -> Iterator[Token]:
    """The tokens of `sql` without white space and comments, lazily."""
    for match in _TOKEN.finditer(sql):
        if match.lastgroup != "space":
            kind = "string" if match.lastgroup == "heredoc" else str(match.lastgroup)
            yield Token(kind, match.group(), match.start(), match.end())


def check_read(canonical: str) -> None:
    """Refuse what a reader must not do although `readonly=1` lets it pass.

    `canonical` is what the engine's own `formatQuery` made of the statement: one statement, no comments,
    names quoted only where needed. Under `readonly=1` the embedded engine still writes files for INTO OUTFILE,
    reads them with the function `file` (also by its bare name in `arrayMap(file, ...)`), kills queries, and
    lets USE and SET change the handle for whoever gets it next. Raises StoreError.
    """
    found = list(tokens(canonical))
    first = found[0].text.upper() if found else ""
    if first not in _READS:
        raise _refused(f"{first or 'Nothing'} is not a read-only statement: use SELECT, SHOW, DESCRIBE or EXPLAIN")
    for token, following in zip(found, [*found[1:], None], strict=True):
        if token.kind in ("word", "quoted") and token.text.strip('`"') == "file":
            raise _refused("file is not available to readers, because it reads the files of the host")
        if token.is_word("INTO") and following and following.is_word("OUTFILE"):
            raise _refused("INTO OUTFILE is not available, because it writes to the host; save the response instead")
        if token.is_word("PARALLEL") and following and following.is_word("WITH"):
            raise _refused("PARALLEL WITH is not available to readers")


def check_write(canonical: str, host_names: frozenset[str]) -> None:
    """Refuse what even a client that may write must not do: reach beyond the tables of the store.

    `host_names` are the table functions, engines and dictionary sources, in lower case, that read or write files,
    addresses or programs; `canonical` as in `check_read`. Raises StoreError.
    """
    found = list(tokens(canonical))
    if any(token.kind == "quoted" and "/" in token.text for token in found):
        raise _denied("A name with / is not available here, because it may be a file")
    first = found[0].text.upper() if found else ""
    if first not in _READS | _WRITES and not canonical.startswith("SYSTEM RELOAD DICTIONAR"):
        raise _denied(f"{first or 'Nothing'} is not available here")
    words = ["", "", *(token.text.strip('`"').lower() if token.kind != "string" else "''" for token in found), ""]
    for engine, equals, name, following in zip(words, words[1:], words[2:], words[3:], strict=False):
        is_engine = engine == "engine" and equals == "="
        if name == "host" and "dictionary" in words[:8]:
            raise _denied("A dictionary reads the tables of this store: leave HOST out")
        if (name == "disk" and following in ("(", "=")) or name.startswith("format_template"):
            raise _denied(f"{name} is not available here, because it reaches beyond the store")
        if name == "default" and following == ".":
            raise _denied("The database default is not available here, because it shows the files of the host")
        if name in _FILE_WORDS or (name in host_names and (is_engine or following == "(")):
            raise _denied(f"{name} is not available here, because it reaches beyond the store")


def is_read(canonical: str) -> bool:
    """Whether the statement returns rows and changes nothing."""
    first = next(tokens(canonical), None)
    return first is not None and first.text.upper() in _READS


def named_format(sql: str) -> str:
    """The format that the statement itself asks for, '' when it leaves that open."""
    found = [token for token in tokens(sql) if token.text != ";"]
    for token, name, following in zip(found, found[1:], [*found[2:], None], strict=False):
        ends = following is None or following.is_word("SETTINGS") or following.is_word("INTO")
        if token.is_word("FORMAT") and name.kind == "word" and ends:
            return name.text
    return ""


def quote(value: str) -> str:
    """`value` as a ClickHouse string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_name(name: str) -> str:
    """`name` as a ClickHouse identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def escape_params(sql: str, params: Mapping[str, str] | None) -> dict[str, str]:
    """`params` as ClickHouse reads them: scalars escaped as in TabSeparated, arrays, maps and tuples as literals."""
    compound = {match[1] for match in _COMPOUND_PARAM.finditer(sql)}
    return {name: value if name in compound else escape(value) for name, value in (params or {}).items()}


def escape(value: str) -> str:
    """`value` in the escaping of TabSeparated."""
    for plain, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"), ("\0", "\\0")):
        value = value.replace(plain, escaped)
    return value


def settings_list(settings: Mapping[str, str | int | float]) -> str:
    """`a = 1, b = 'x'` for a SETTINGS clause or SET; raises StoreError for a name that is not one."""
    for name in settings:
        if not _SETTING_NAME.match(name):
            raise StoreError.clickhouse(115, "UNKNOWN_SETTING", f"Unknown setting {name!r}.")
    return ", ".join(f"{name} = {quote(v) if isinstance(v, str) else v}" for name, v in settings.items())


def insert_statement(table: str, settings: Mapping[str, str | int] | None) -> str:
    """The INSERT in front of FORMAT and the data."""
    return f"INSERT INTO {table}" + (f" SETTINGS {settings_list(settings)}" if settings else "")


def with_infile(statement: str, path: str) -> str:
    """An INSERT that ends before FORMAT, reading from `path`; FROM INFILE stands before SETTINGS."""
    at = len(statement)
    depth = 0
    previous = ""
    for token in tokens(statement):
        depth += (token.text in "([{") - (token.text in ")]}") if token.kind == "symbol" else 0
        if depth == 0 and token.is_word("SETTINGS") and previous not in ("INTO", "TABLE", "."):
            at = token.start
            break
        previous = token.text.upper()
    return f"{statement[:at]} FROM INFILE {quote(path)} {statement[at:]}"


def _refused(reason: str) -> StoreError:
    return StoreError.clickhouse(164, "READONLY", f"{reason}.")


def _denied(reason: str) -> StoreError:
    return StoreError.clickhouse(497, "ACCESS_DENIED", f"{reason}.")
