"""Telling an INSERT from the data that follows it in the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from storage.statement import Token, tokens
from storage.store import StoreError

MAX_STATEMENT_BYTES = 1 << 20  # how far into a request the end of the statement is looked for


@dataclass(frozen=True)
class Insert:
    """`statement` ends before FORMAT or VALUES; `data` is what follows, encoded in `fmt`."""

    statement: str
    fmt: str
    data: bytes


def split_insert(text: bytes) -> Insert | None:
    """The parts of an INSERT with data; None for anything else, an INSERT SELECT included.

    Raises StoreError for an INSERT that names neither a format nor a source.
    """
    head = text[:MAX_STATEMENT_BYTES].decode("latin-1")  # one character a byte, so that places agree
    found = tokens(head)
    first = next(found, None)
    if first is None or not first.is_word("INSERT"):
        return None
    depth = 0
    for token in _after_table(found):
        depth += (token.text in "([{") - (token.text in ")]}") if token.kind == "symbol" else 0
        if depth == 0 and (token.is_word("SELECT") or token.is_word("WITH")):
            return None
        if depth == 0 and token.is_word("VALUES"):
            return Insert(_text(text, token.start), "Values", text[token.end :])
        if depth == 0 and token.is_word("FORMAT"):
            name = next(found, None)
            if name is not None and name.kind == "word":
                return Insert(_text(text, token.start), name.text, text[_data_start(head, name.end) :])
    raise StoreError.clickhouse(62, "SYNTAX_ERROR", "Syntax error: the INSERT names neither FORMAT, VALUES nor SELECT.")


def _after_table(found: Iterator[Token]) -> Iterator[Token]:
    """The tokens behind the table's name, which may itself be a keyword."""
    token = next(found, None)
    while token is not None and (token.is_word("INTO") or token.is_word("TABLE")):
        token = next(found, None)
    while token is not None:  # `token` is a part of the name
        token = next(found, None)
        if token is None or token.text != ".":
            break
        token = next(found, None)
    if token is not None:
        yield token
    yield from found


def _data_start(head: str, at: int) -> int:
    """Blanks and one line end belong to the statement; whatever follows is data, be it blank or not."""
    while at < len(head) and head[at] in " \t\f":
        at += 1
    if head.startswith("\r", at):
        at += 1
    return at + 1 if head.startswith("\n", at) else at


def _text(text: bytes, end: int) -> str:
    try:
        return text[:end].decode()
    except UnicodeDecodeError as error:
        raise StoreError.clickhouse(62, "SYNTAX_ERROR", "Syntax error: the statement is not UTF-8.") from error
