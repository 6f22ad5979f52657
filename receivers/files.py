"""Recorded exports in files, for `llmhub ingest FILE...`.

.pb holds one protobuf Export*ServiceRequest, .json one OTLP/JSON request (or one a line), .jsonl one
a line, as the Collector's file exporter writes them. Each may be compressed: .gz, .zst.
"""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from collector.errors import InvalidRequest
from collector.pipeline import Signal
from receivers import otlp_json
from receivers.export_signal import detect_signal
from receivers.intake import Refused

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_TOLD_LINES = 5
_SUFFIXES = (".pb", ".json", ".jsonl")


def read_exports(path: str | Path) -> Iterator[tuple[Signal, bytes]]:
    """Each export in the file as protobuf bytes. Raises InvalidRequest, which names the file, the line
    and the remedy, and OSError when the file cannot be opened. Requests without records are left out."""
    path = Path(path)
    kind = path.name.removesuffix(".gz").removesuffix(".zst")
    if not kind.endswith(_SUFFIXES):
        raise InvalidRequest(
            f"{path}: the name must end in {', '.join(_SUFFIXES)}, and .gz or .zst behind it when compressed."
        )
    if kind.endswith(".pb"):
        return _protobuf(path, kind)
    return _json_lines(path) if kind.endswith(".jsonl") else _json(path)


def _protobuf(path: Path, kind: str) -> Iterator[tuple[Signal, bytes]]:
    body = _read(path)
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


def _ambiguous(found: set[Signal]) -> str:
    if not found:
        return "this is no complete OTLP export request in protobuf. Record it again, as the raw body of one export."
    names = " or ".join(sorted(found))
    return f"this could be a {names} request. Rename the file to NAME.traces.pb, NAME.logs.pb or NAME.metrics.pb."


def _json(path: Path) -> Iterator[tuple[Signal, bytes]]:
    body = _read(path)
    try:
        document = otlp_json.parse(body)
    except Refused as error:
        # The Collector's file exporter writes one request a line whatever the file is called.
        if not _is_json(body.split(b"\n", 1)[0]):
            raise InvalidRequest(f"{path}: {error}") from None
        yield from _json_lines(path)
        return
    yield from _document(document, str(path))


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(otlp_json.parse(line), dict)
    except Refused:
        return False


def _json_lines(path: Path) -> Iterator[tuple[Signal, bytes]]:
    """The good lines first; the bad ones are told when all are read."""
    problems: list[str] = []
    for number, line in enumerate(_read(path).splitlines(), start=1):
        if line.strip():
            try:
                yield from _json_line(line, f"{path}, line {number}")
            except InvalidRequest as error:
                problems.append(str(error))
    if problems:
        more = len(problems) - _TOLD_LINES
        raise InvalidRequest(
            "\n".join(problems[:_TOLD_LINES] + ([f"{path}: {more} more lines like that"] if more > 0 else []))
        )


def _json_line(line: bytes, where: str) -> Iterator[tuple[Signal, bytes]]:
    try:
        document = otlp_json.parse(line)
    except Refused as error:
        raise InvalidRequest(f"{where}: {error} Each line must be one complete OTLP/JSON request.") from None
    yield from _document(document, where)


def _document(document: Any, where: str) -> Iterator[tuple[Signal, bytes]]:
    signals = otlp_json.signals_of(document)
    if not signals and document != {}:
        keys = ", ".join(otlp_json.ROOT_KEYS)
        raise InvalidRequest(f"{where}: this is no OTLP/JSON request. It needs one of the top-level keys {keys}.")
    for signal in sorted(signals):
        try:
            yield signal, otlp_json.encode(signal, document)
        except Refused as error:
            raise InvalidRequest(f"{where}: {error} Correct the value or leave the field out.") from None


def _read(path: Path) -> bytes:
    try:
        if path.suffix == ".gz":
            return gzip.decompress(path.read_bytes())
        if path.suffix == ".zst":
            return zstd.decompress(path.read_bytes())
        return path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile, zstd.ZstdError) as error:
        raise InvalidRequest(
            f"{path}: not a complete {path.suffix} file: {error}. Copy or download it again."
        ) from None
