from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.errors import InvalidRequest
from collector.pipeline import Signal
from receivers import files
from receivers.export_signal import detect_signal
from receivers.files import read_exports
from tests.receivers import exports
from tests.receivers.messages import plausible_requests, records

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LOGS_JSON = b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"severityText": "INFO"}]}]}]}'


def error(path: Path) -> str:
    with pytest.raises(InvalidRequest) as caught:
        list(read_exports(path))
    return str(caught.value)


@pytest.mark.parametrize("signal", list(Signal))
def test_the_signal_of_a_protobuf_file_is_told_from_its_records(tmp_path: Path, signal: Signal) -> None:
    file = tmp_path / "export.pb"
    file.write_bytes(exports.PROTOBUF[signal])
    assert list(read_exports(file)) == [(signal, exports.PROTOBUF[signal])]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), st.sampled_from(list(Signal)))
def test_no_signal_is_mistaken_for_another(data: st.DataObject, signal: Signal) -> None:
    message = data.draw(plausible_requests(signal))
    assert detect_signal(message.SerializeToString()) == ({signal} if records(message) else set())


def test_a_file_name_says_the_signal_when_the_records_do_not(tmp_path: Path) -> None:
    body = b"\x0a\x00"
    (tmp_path / "a.logs.pb").write_bytes(body)
    assert list(read_exports(tmp_path / "a.logs.pb")) == [(Signal.LOGS, body)]


def test_compressed_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.pb.gz").write_bytes(gzip.compress(exports.traces()))
    (tmp_path / "a.metrics.pb.zst").write_bytes(zstd.compress(exports.metrics()))
    assert list(read_exports(tmp_path / "a.pb.gz")) == [(Signal.TRACES, exports.traces())]
    assert list(read_exports(tmp_path / "a.metrics.pb.zst")) == [(Signal.METRICS, exports.metrics())]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.json"])
def test_a_file_may_hold_one_request_a_line(tmp_path: Path, name: str) -> None:
    body = exports.span_json("one") + b"\n\n" + LOGS_JSON + b"\r\n" + exports.span_json("two")
    (tmp_path / name).write_bytes(gzip.compress(body) if name.endswith("gz") else body)
    assert [signal for signal, _ in read_exports(tmp_path / name)] == [Signal.TRACES, Signal.LOGS, Signal.TRACES]


def test_a_json_file_may_be_one_indented_request(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(json.loads(LOGS_JSON), indent=2))
    assert [signal for signal, _ in read_exports(tmp_path / "a.json")] == [Signal.LOGS]


def test_a_request_with_several_signals_is_read_as_several_exports(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(json.loads(LOGS_JSON) | json.loads(exports.span_json())))
    assert [signal for signal, _ in read_exports(tmp_path / "a.json")] == [Signal.LOGS, Signal.TRACES]


@pytest.mark.parametrize(("name", "body"), [("a.pb", b""), ("a.json", b"{}"), ("a.jsonl", b"\n"), ("a.jsonl", b"{}\n")])
def test_a_file_without_records_holds_no_exports(tmp_path: Path, name: str, body: bytes) -> None:
    (tmp_path / name).write_bytes(body)
    assert list(read_exports(tmp_path / name)) == []


@pytest.mark.parametrize(
    ("name", "body", "text"),
    [
        ("a.txt", b"", "the name must end in .pb, .json, .jsonl"),
        ("a.pb", exports.traces()[:-5], "no complete OTLP export request in protobuf"),
        ("a.pb", b"random bytes \xff\xfe", "no complete OTLP export request in protobuf"),
        ("a.pb", b"\x0a\x00", "no complete OTLP export request in protobuf"),
        ("a.pb.gz", gzip.compress(exports.traces(), mtime=0)[:-9], "not a complete .gz file"),
        ("a.pb.gz", exports.traces(), "not a complete .gz file"),
        ("a.pb.zst", zstd.compress(exports.traces())[:-9], "not a complete .zst file"),
        ("a.json", b'{\n"resourceSpans": [,]\n}', "line 2, column 19"),
        ("a.json", b"", "This is empty"),
        ("a.json", b'{"spans": []}', "resourceSpans, resourceLogs, resourceMetrics"),
        ("a.json", b"[1]", "resourceSpans, resourceLogs, resourceMetrics"),
        ("a.jsonl", LOGS_JSON + b"\n" + LOGS_JSON[:-4], "a.jsonl, line 2: This is not JSON: "),
        ("a.json", LOGS_JSON + b"\n\n{]", "a.json, line 3: This is not JSON: "),
        ("a.jsonl", LOGS_JSON + b'\n{"resourceLogs": 5}', "a.jsonl, line 2: $.resourceLogs: expected an array"),
    ],
)
def test_an_unusable_file_is_refused_with_place_and_cause(tmp_path: Path, name: str, body: bytes, text: str) -> None:
    (tmp_path / name).write_bytes(body)
    assert error(tmp_path / name).startswith(str(tmp_path / name))
    assert text in error(tmp_path / name)


def test_what_comes_before_a_broken_line_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(LOGS_JSON + b"\n{")
    found = read_exports(tmp_path / "a.jsonl")
    assert next(found)[0] is Signal.LOGS
    with pytest.raises(InvalidRequest):
        next(found)


def test_a_bad_line_keeps_no_other_line_out(tmp_path: Path) -> None:
    good = b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "a"}]}]}]}'
    file = tmp_path / "exports.jsonl"
    file.write_bytes(b"\n".join([good, b"{", good, b"[]", good]))
    found: list[tuple[Signal, bytes]] = []
    with pytest.raises(InvalidRequest, match=r"line 2: .*\n.*line 4: "):
        found.extend(read_exports(file))
    # extend() has taken what came before the error.
    assert [signal for signal, _ in found] == [Signal.TRACES] * 3


def test_large_events_go_into_several_requests(tmp_path: Path) -> None:
    event = {"timestamp": "2026-07-30T09:15:00Z", "model": "gpt-4o", "attributes": {"note": "x" * 40_000}}
    path = tmp_path / "a.events.jsonl"
    path.write_text(f"{json.dumps(event)}\n" * 100)
    sizes = [len(body) for _, body in read_exports(path)]
    assert 4 <= len(sizes) <= 5
    assert max(sizes) < 2 << 20


@pytest.mark.parametrize("name", ["a.pb.gz", "a.json.gz", "a.jsonl.gz", "a.events.jsonl.gz"])
def test_a_file_without_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(files, "_MOST_BYTES", 1 << 20)
    (tmp_path / name).write_bytes(gzip.compress(bytes(2 << 20), mtime=0))
    assert "this is more than 1 MiB" in error(tmp_path / name)
