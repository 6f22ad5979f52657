"""One of several processes of a hub: all of it but the schema, on ports that it shares with the others.

Started by llmhub.workers, which writes a pickled Task to its standard input and reads one line of JSON, a Report, from
its standard output. The input stays open as long as the parent lives.
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

import uvloop

from llmhub import logs, tracing
from llmhub.config import Config
from llmhub.hub import START_FAILURES, Addresses, Hub, open_configured, run
from llmhub.spools import leftover_spools


@dataclass(frozen=True)
class Task:
    """What a worker is to do: be number `number` of the hub that is configured by `hub`, with its own `config`."""

    number: int
    hub: Config
    config: Config


@dataclass(frozen=True)
class Report:
    """Where the worker's own API listens, or why the worker cannot start."""

    api: str = ""
    error: str = ""


def main() -> None:
    """SIGTERM during the start ends the process as it is, for what was acknowledged by then is stored or in the spool.
    Afterwards, `run` stops in order."""
    # Whatever else is printed must not end up in the report.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    task: Task = pickle.load(sys.stdin.buffer)
    logs.configure(task.config.telemetry, task.number)
    tracing.configure(task.config.telemetry)

    def tell(report: Report) -> None:
        print(json.dumps(asdict(report)), file=out, flush=True)

    try:
        _serve(task, tell)
    except START_FAILURES as error:
        tell(Report(error=str(error)))
        sys.exit(1)


def _serve(task: Task, tell: Callable[[Report], None]) -> None:
    async def serve(hub: Hub, addresses: Addresses) -> None:
        tell(Report(api=addresses.api))
        await _parent_gone()

    leftovers = leftover_spools(task.hub) if task.number == 0 else []
    store = open_configured(task.config)
    try:
        uvloop.run(run(task.config, store, serve, share_ports=True, leftovers=leftovers))
    finally:
        store.close()


async def _parent_gone() -> None:
    """A worker without its parent would hold ports and spool against the next one."""
    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), gone.set)
    await gone.wait()


if __name__ == "__main__":
    main()
