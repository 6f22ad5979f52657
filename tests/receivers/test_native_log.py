"""What a native library writes to standard error is in the hub's log, and nothing else is lost."""

from __future__ import annotations

import logging
import os
import threading

import pytest

from receivers.native_log import h2corn_logged
from receivers.otlp_grpc import OtlpGrpcReceiver, OtlpGrpcSettings
from tests.receivers.recorder import Loop, Recorder, serving


def test_the_grpc_server_starts_without_a_word_past_the_log(
    recorder: Recorder, loop: Loop, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "h2corn")
    with serving(OtlpGrpcReceiver(recorder, OtlpGrpcSettings(listen="127.0.0.1:0")), loop):
        pass
    assert capfd.readouterr().err == ""
    assert [record.getMessage() for record in caplog.records if record.name == "h2corn"] == ["starting", "listening"]


def test_lines_of_others_reach_standard_error_as_they_are(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    lines = ['{"level":"error","event":"failed","pid":7}', "free text", '{"level": 5}', "[1]", ""]
    with h2corn_logged():
        writer = threading.Thread(target=lambda: [os.write(2, f"{line}\n".encode()) for line in lines])
        writer.start()
        writer.join()
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == 'free text\n{"level": 5}\n[1]\n\nafterwards\n'
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("ERROR", "failed")]


def fail_after_writing() -> None:
    with h2corn_logged():
        os.write(2, b"before\n")
        raise ZeroDivisionError


def test_a_failure_in_the_block_is_told_and_standard_error_is_back(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError):
        fail_after_writing()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "before\nafter\n"
