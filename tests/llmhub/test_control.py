"""What a command is told that may not, or cannot, ask the hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmhub import control
from llmhub.control import ControlClient, ControlError, NoHub


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
