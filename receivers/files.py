"""Recorded exports in files, for `llmhub ingest FILE...`.

.pb holds one protobuf Export*ServiceRequest, .json one OTLP/JSON request (or one a line), .jsonl one
a line, as the Collector's file exporter writes them, .events.jsonl one event a line, as POST /v1/events takes them.
Each may be compressed: .gz, .zst.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

from collector.errors import InvalidRequest
from collector.pipeline import Signal
from receivers import otlp_json
from receivers.events_otlp import InvalidEvent, convert, parse_event
from receivers.export_signal import detect_signal
from receivers.intake import Refused

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STANDARD_INPUT = Path("-")
FORMATS = ("pb", "traces.pb", "logs.pb", "metrics.pb", "json", "jsonl", "events.jsonl")
_TOLD_LINES = 5
_SUFFIXES = (".pb", ".json", ".jsonl")
# Events in one request, unless they have more bytes than the other before.
_EVENTS = 500
_EVENTS_BYTES = 1 << 20
# A request beyond this fits into no hub, and a compressed file may hold any number of zeros.
_MOST_BYTES = 256 << 20
_BROKEN = (EOFError, zlib.error, gzip.BadGzipFile, zstd.ZstdError)
Exports = Iterator[tuple[Signal, bytes]]


def read_exports(path: str | Path, fmt: str = "", progress: Callable[[int], object] = lambda size: None) -> Exports:
    """Each export in the file, or on standard input for '-', as protobuf bytes.

    `fmt` is one of FORMATS, '' for what the name says. `progress` is called with the number of bytes read, again and
    again. Raises InvalidRequest, which names the file, the line and the remedy, and OSError when the file cannot be
    opened. Requests without records are left out.
    """
    path = Path(path)
    kind = f".{fmt}" if fmt else path.name.removesuffix(".gz").removesuffix(".zst")
    if path == STANDARD_INPUT and not fmt:
        raise InvalidRequest(f"-: standard input has no name that says what it is. Add --format: {', '.join(FORMATS)}.")
    if not kind.endswith(_SUFFIXES):
        raise InvalidRequest(
            f"{path}: the name must end in {', '.join(_SUFFIXES)}, and .gz or .zst behind it when compressed. "
            "Or say with --format what it is."
        )
    return _read(path, kind, progress)


def _read(path: Path, kind: str, progress: Callable[[int], object]) -> Exports:
    with _opened(path, progress) as stream:
        if kind.endswith(".pb"):
            yield from _protobuf(path, kind, stream)
        elif kind.endswith(".events.jsonl"):
            yield from _events(path, stream)
        elif kind.endswith(".jsonl"):
            yield from _json_lines(path, stream)
        else:
            yield from _json(path, stream)


def _protobuf(path: Path, kind: str, stream: IO[bytes]) -> Exports:
    body = _whole(path, stream)
    hint = kind.removesuffix(".pb").rpartition(".")[2]
    if not body:
        return
    if hint in list(Signal):
        yield Signal(hint), body
        return
    found = detect_signal(body)
    if len(found) != 1:
        raise InvalidRequest(f"{path}: {_ambiguous(found)}")
    yield found.pop(), body


def _whole(path: Path, stream: IO[bytes]) -> bytes:
    body = stream.read(_MOST_BYTES + 1)
    if len(body) > _MOST_BYTES:
        raise InvalidRequest(_too_large(str(path)))
    return body


def _too_large(where: str) -> str:
    return f"{where}: this is more than {_MOST_BYTES >> 20} MiB, and no hub takes such a request. Record smaller ones."


def _ambiguous(found: set[Signal]) -> str:
    if not found:
        return "this is no complete OTLP export request in protobuf. Record it again, as the raw body of one export."
    names = " or ".join(sorted(found))
    return f"this could be a {names} request. Rename the file to NAME.traces.pb, NAME.logs.pb or NAME.metrics.pb."


def _json(path: Path, stream: IO[bytes]) -> Exports:
    body = _whole(path, stream)
    try:
        document = otlp_json.parse(body)
    except Refused as error:
        # The Collector's file exporter writes one request a line whatever the file is called.
        if not _is_json(body.split(b"\n", 1)[0]):
            raise InvalidRequest(f"{path}: {error}") from None
        yield from _json_lines(path, io.BytesIO(body))
        return
    yield from _document(document, str(path))


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(otlp_json.parse(line), dict)
    except Refused:
        return False


def _json_lines(path: Path, stream: IO[bytes]) -> Exports:
    """The good lines first; the bad ones are told when all are read."""
    problems: list[str] = []
    for number, line in _lines(path, stream, problems):
        try:
            yield from _json_line(line.rstrip(b"\r\n"), f"{path}, line {number}")
        except InvalidRequest as error:
            problems.append(str(error))
    _tell(path, problems)


def _events(path: Path, stream: IO[bytes]) -> Exports:
    """As _json_lines, for lines of one event each."""
    problems: list[str] = []
    lines = _lines(path, stream, problems)
    while batch := _events_of_a_request(lines):
        converted = convert(_parsed(line) for _, line in batch)
        for rejected in converted.rejected:
            problems.append(f"{path}, line {batch[rejected.index][0]}: {rejected.path}: {rejected.message}")
        yield from converted.requests.items()
    _tell(path, problems)


def _events_of_a_request(lines: Iterator[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    batch: list[tuple[int, bytes]] = []
    size = 0
    for line in islice(lines, _EVENTS):
        batch.append(line)
        size += len(line[1])
        if size >= _EVENTS_BYTES:
            break
    return batch


def _lines(path: Path, stream: IO[bytes], problems: list[str]) -> Iterator[tuple[int, bytes]]:
    """The lines with something in them. Those before the place where a file is cut off are good."""
    try:
        for number, line in enumerate(iter(lambda: stream.readline(_MOST_BYTES + 1), b""), start=1):
            if len(line) > _MOST_BYTES:
                problems.append(_too_large(f"{path}, line {number}"))
                return
            if line.strip():
                yield number, line
    except _BROKEN as error:
        problems.insert(0, str(_incomplete(path, error)))


def _parsed(line: bytes) -> Any:
    try:
        return parse_event(line)
    except InvalidEvent as error:
        return error


def _tell(path: Path, problems: list[str]) -> None:
    if problems:
        more = len(problems) - _TOLD_LINES
        raise InvalidRequest(
            "\n".join(problems[:_TOLD_LINES] + ([f"{path}: {more} more lines like that"] if more > 0 else []))
        )


def _json_line(line: bytes, where: str) -> Exports:
    try:
        document = otlp_json.parse(line)
    except Refused as error:
        raise InvalidRequest(f"{where}: {error} Each line must be one complete OTLP/JSON request.") from None
    yield from _document(document, where)


def _document(document: Any, where: str) -> Exports:
    signals = otlp_json.signals_of(document)
    if not signals and document != {}:
        keys = ", ".join(otlp_json.ROOT_KEYS)
        raise InvalidRequest(f"{where}: this is no OTLP/JSON request. It needs one of the top-level keys {keys}.")
    for signal in sorted(signals):
        try:
            yield signal, otlp_json.encode(signal, document)
        except Refused as error:
            raise InvalidRequest(f"{where}: {error} Correct the value or leave the field out.") from None


@contextmanager
def _opened(path: Path, progress: Callable[[int], object]) -> Iterator[IO[bytes]]:
    """The content, decompressed. Raises InvalidRequest when it is cut off."""
    file = sys.stdin.buffer if path == STANDARD_INPUT else path.open("rb")
    with file:
        counted = cast(IO[bytes], io.BufferedReader(_Counted(file, progress)))
        try:
            if path.suffix == ".gz":
                yield cast(IO[bytes], gzip.GzipFile(fileobj=counted))
            elif path.suffix == ".zst":
                yield cast(IO[bytes], zstd.ZstdFile(counted))
            else:
                yield counted
        except _BROKEN as error:
            raise _incomplete(path, error) from None


def _incomplete(path: Path, error: Exception) -> InvalidRequest:
    return InvalidRequest(f"{path}: not a complete {path.suffix} file: {error}. Copy or download it again.")


class _Counted(io.RawIOBase):
    """A file that tells how many bytes are read from it."""

    def __init__(self, file: IO[bytes], progress: Callable[[int], object]) -> None:
        self._file = file
        self._progress = progress

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._progress(len(data))
        return len(data)
