"""What a command is told that may not, or cannot, ask the hub."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from collector.spool import SpoolSettings
from llmhub import control
from llmhub.config import Config
from llmhub.control import ControlClient, ControlError, NoHub, ask_status


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (FileNotFoundError(), NoHub, "start it with `llmhub up`"),
        (ConnectionRefusedError(), NoHub, "start it with `llmhub up`"),
        (PermissionError(), ControlError, "run the command as the user of the hub"),
        (TimeoutError("timed out"), ControlError, "does not answer"),
    ],
)
def test_why_a_hub_cannot_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, kind: type[ControlError], text: str
) -> None:
    def connect(self: object) -> None:
        raise error

    monkeypatch.setattr(control._UnixConnection, "connect", connect)
    with pytest.raises(kind, match=text) as told:
        ControlClient(tmp_path).get("/ping")
    assert type(told.value) is kind
    assert str(tmp_path) in str(told.value)


def test_a_hub_that_hangs_is_told_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_PING_SECONDS", 0.1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(str(tmp_path / control.SOCKET_FILE))
        silent.listen()
        config = Config().with_dsn("chdb:///nowhere")
        config = replace(config, collector=replace(config.collector, spool=SpoolSettings(path=str(tmp_path))))
        with pytest.raises(ControlError, match=r"timed out.*one that hangs must be stopped"):
            ask_status(config)
