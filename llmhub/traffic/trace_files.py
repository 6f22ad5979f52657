"""Real request traces on disk: Azure LLM inference (CSV) and Mooncake (JSON lines)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TextIO

from llmhub.traffic.errors import TraceFileError
from llmhub.traffic.prefixes import PrefixCache

AZURE_HEADER = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_MOONCAKE_KEYS = ("timestamp", "input_length", "output_length", "hash_ids")
# Above this a count is a mistake (a timestamp in the wrong column), and a span of that many tokens nonsense.
_MOST_TOKENS = 100_000_000


@dataclass(frozen=True, slots=True)
class Request:
    """`time` is seconds on the trace's own clock; `shared_tokens` is the part of the prompt seen before."""

    time: float
    input_tokens: int
    output_tokens: int
    shared_tokens: int = 0


class _Line:
    """One line under examination: knows where it is, so that each complaint says so."""

    def __init__(self, path: Path, number: int, text: str) -> None:
        self.text = text
        self._where = f"{path}, line {number}"

    def fail(self, cause: str, remedy: str) -> NoReturn:
        raise TraceFileError(f"{self._where}: {cause}. {remedy}")

    def tokens(self, name: str, value: object) -> int:
        try:
            count = int(value) if isinstance(value, str) else value
        except ValueError:
            count = None
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= _MOST_TOKENS:
            self.fail(f"{name} is {value!r}", f"Give a whole number from 0 to {_MOST_TOKENS}")
        return count


def read_trace(path: Path) -> Iterator[Request]:
    """The requests of a trace file in order; the first line tells the format.

    Raises TraceFileError at the first line that is not of that format or goes back in time,
    and when the file is missing or holds no request.
    """
    try:
        with path.open(encoding="utf-8-sig", newline=None) as file:
            yield from _read(path, file)
    except (OSError, UnicodeDecodeError) as error:
        raise TraceFileError(f"{path}: cannot be read: {error}. Give a trace in Azure CSV or Mooncake JSONL") from error


def _read(path: Path, file: TextIO) -> Iterator[Request]:
    last: Request | None = None
    parse: _Azure | _Mooncake | None = None
    for number, text in enumerate(file, start=1):
        line = _Line(path, number, text.strip())
        if not line.text:
            continue
        if parse is None:
            parse = _format(line)
            if isinstance(parse, _Azure):
                continue
        request = parse(line)
        if last is not None and request.time < last.time:
            line.fail("the timestamp is earlier than that of the request before", "Sort the file by time")
        yield request
        last = request
    if last is None:
        raise TraceFileError(f"{path}: holds no request. Give a trace in Azure CSV or Mooncake JSONL")


def _format(line: _Line) -> "_Azure | _Mooncake":
    if line.text.startswith("{"):
        return _Mooncake()
    if tuple(cell.strip() for cell in line.text.split(",")) == AZURE_HEADER:
        return _Azure()
    line.fail(
        f"{line.text[:60]!r} begins neither known format",
        f"Azure CSV begins with the line {','.join(AZURE_HEADER)}, Mooncake JSONL with an object holding "
        + ", ".join(_MOONCAKE_KEYS),
    )


class _Azure:
    def __call__(self, line: _Line) -> Request:
        cells = line.text.split(",")
        if len(cells) != len(AZURE_HEADER):
            line.fail(f"has {len(cells)} columns", f"Give the three columns {','.join(AZURE_HEADER)}")
        stamp, context, generated = cells
        try:
            time = datetime.fromisoformat(stamp)
        except ValueError:
            line.fail(f"TIMESTAMP is {stamp!r}", "Write it as 2023-11-16 18:17:03.979960 (UTC when without offset)")
        if time.tzinfo is None:
            time = time.replace(tzinfo=UTC)
        return Request(
            time.timestamp(), line.tokens("ContextTokens", context), line.tokens("GeneratedTokens", generated)
        )


class _Mooncake:
    def __init__(self) -> None:
        self._cache = PrefixCache()

    def __call__(self, line: _Line) -> Request:
        record = self._record(line)
        input_tokens = line.tokens("input_length", record["input_length"])
        blocks = record["hash_ids"]
        if not isinstance(blocks, list) or not all(type(block) is int for block in blocks):
            line.fail("hash_ids is not a list of whole numbers", "Give one number per 512-token block of the prompt")
        return Request(
            self._seconds(line, record["timestamp"]),
            input_tokens,
            line.tokens("output_length", record["output_length"]),
            self._cache.shared_tokens(blocks, input_tokens),
        )

    @staticmethod
    def _seconds(line: _Line, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
            line.fail(f"timestamp is {value!r}", "Give milliseconds since the start of the trace")
        return value / 1000

    @staticmethod
    def _record(line: _Line) -> dict[str, Any]:
        try:
            record = json.loads(line.text)
        except (ValueError, RecursionError) as error:
            line.fail(f"is not JSON ({error})", "Give one object a line")
        if not isinstance(record, dict) or (missing := [key for key in _MOONCAKE_KEYS if key not in record]):
            what = f"lacks {', '.join(missing)}" if isinstance(record, dict) else "is not an object"
            line.fail(what, f"Give one object a line with {', '.join(_MOONCAKE_KEYS)}")
        return record
