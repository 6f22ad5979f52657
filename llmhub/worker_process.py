"""A worker as its parent sees it: start it, ask it, end it."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import pickle
import signal
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress

from collector.errors import HubError
from llmhub.worker import Report, Task

_ANSWER_SECONDS = 5.0


class WorkerError(HubError):
    """A worker cannot start; str() says why."""


class WorkerProcess:
    """One worker, in one process after the other."""

    def __init__(self, task: Task) -> None:
        self.number = task.number
        self._task = task
        self._api = ""
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """0 when there is no process."""
        return self._process.pid if self._process else 0

    @property
    def is_up(self) -> bool:
        """It serves."""
        return bool(self._api)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start a process and wait until it serves. Raises WorkerError."""
        # A session of its own: Ctrl-C reaches the parent alone, which ends the workers in order. Their modules are the
        # parent's, wherever they are started.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = (sys.executable, "-P", "-m", "llmhub.worker")
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, start_new_session=True, env=environment
            )
        except OSError as error:
            raise WorkerError(f"cannot start a process: {error}") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(pickle.dumps(self._task))
        line = await self._process.stdout.readline()
        report = Report(**json.loads(line)) if line.endswith(b"\n") else await self._silent_end()
        if report.error:
            raise WorkerError(report.error)
        self._api = report.api

    async def ended(self) -> int:
        """Wait for the end of the process; returns its exit code, negative for a signal."""
        code = await self._process.wait() if self._process else 0
        self._api = ""
        return code

    async def stop(self, patience: float) -> bool:
        """Ask the process to stop, kill it after `patience` seconds; returns whether it stopped in order.

        A process that does not serve yet has nothing to put in order, however it ends: by the signal, which it does not
        catch during its start, or because it cannot start."""
        served = self.is_up
        self._signal(signal.SIGTERM)
        try:
            code = await asyncio.wait_for(self.ended(), patience)
            return code == 0 or not served
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self.ended()
            return False

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of `path` on the worker's API. Blocks; raises OSError when it does not answer."""
        if not self._api:
            raise ConnectionError("it is being started")
        connection = http.client.HTTPConnection(self._api, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        except http.client.HTTPException as error:
            raise ConnectionError(f"it gives no proper answer: {error!r}") from error
        finally:
            connection.close()

    def _signal(self, number: int) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _silent_end(self) -> Report:
        code = await self.ended()
        return Report(error=f"worker {self.number} ended with exit code {code} before it was ready; the log says more")
