"""The control socket: how commands reach the running hub.

It is the file `control.sock` in the spool's directory, which belongs to one hub at a time. Who may open it, the user of
the hub and root, may do everything: that is the authentication.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from collector.errors import HubError
from llmhub.config import Config
from llmhub.spools import own_spools
from llmhub.worker_status import merged, silent
from receivers.http_server import HttpServer

log = logging.getLogger(__name__)

SOCKET_FILE = "control.sock"
# struct sockaddr_un, unix(7); the BSDs have four bytes less.
_MAX_PATH_BYTES = 103
# A replay waits for inserts, and those for the store.
_TIMEOUT_SECONDS = 120.0
_PING_SECONDS = 10.0


class ControlError(HubError):
    """The hub did not do what it was asked to; str() is what it says."""


class NoHub(ControlError):
    """No hub runs on this spool."""


class ControlServer:
    """Serves an ASGI app on the control socket of `directory`, on the running event loop."""

    def __init__(self, app: Any, directory: Path) -> None:
        self._path = directory / SOCKET_FILE
        self._http = HttpServer(app, str(self._path), "collector.spool.path")

    async def start(self) -> str:
        """Listen; returns the path. A socket that is there already is left over: the directory is this hub's own. Where there
        can be no socket, the hub does without, and says so in its log."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._path.unlink(missing_ok=True)
            with _short(self._path) as path:
                sock.bind(path)
            os.chmod(self._path, 0o600)  # in time: nobody can connect before it listens
            sock.listen()
        except OSError as error:
            sock.close()
            log.warning("no control socket: commands cannot reach this hub", extra={"file": str(self._path), "error": str(error)})  # fmt: skip
            return ""
        sock.setblocking(False)
        await self._http.serve(sock)
        return str(self._path)

    async def stop(self, grace: float) -> None:
        await self._http.stop(grace)
        self._path.unlink(missing_ok=True)


class ControlClient:
    """Asks the hub that has the spool in `directory`. Blocking."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / SOCKET_FILE

    def ping(self) -> None:
        """Raises as `get`, and soon: a hub that hangs would have whoever asks it more wait for minutes."""
        self._ask("GET", "/ping", None, _PING_SECONDS)

    def get(self, path: str) -> Any:
        """As `post`."""
        return self._ask("GET", path, None)

    def post(self, path: str, document: Any) -> Any:
        """The answer, decoded. Raises NoHub, ControlError."""
        return self._ask("POST", path, json.dumps(document))

    def _ask(self, method: str, path: str, body: str | None, seconds: float = _TIMEOUT_SECONDS) -> Any:
        connection = _UnixConnection(self._path, seconds)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (FileNotFoundError, ConnectionRefusedError):
            raise NoHub(f"no hub runs on the spool in {self._path.parent}: start it with `llmhub up`") from None
        except PermissionError:
            text = f"this user may not ask the hub on {self._path}: run the command as the user of the hub"
            raise ControlError(text) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            text = (
                f"the hub does not answer on {self._path}: {error}. Its log says more; one that hangs must be stopped"
            )
            raise ControlError(text) from error
        finally:
            connection.close()
        if response.status != 200:
            raise ControlError(str(answer.get("detail", answer)))
        return answer


def ask_status(config: Config) -> dict[str, Any]:
    """What the running hub answers to /status, workers and all. Raises NoHub when none of them runs, ControlError."""
    reports: dict[str, dict[str, Any]] = {}
    missing: list[NoHub] = []
    for path in own_spools(config):
        client = ControlClient(path)
        try:
            client.ping()
            reports[path.name] = client.get("/status")
        except NoHub as error:
            reports[path.name] = silent("it is being started")
            missing.append(error)
    if len(missing) == len(reports):
        raise missing[0]
    return merged(reports) if len(reports) > 1 else next(iter(reports.values()))


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with _short(self._path) as path:
            self.sock.connect(path)


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name of `path` that fits into a socket address, as long as the context lasts."""
    if len(os.fsencode(path)) <= _MAX_PATH_BYTES:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
