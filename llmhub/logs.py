"""Log lines on standard error: JSON by default, text for people."""

from __future__ import annotations

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

from llmhub.config import TelemetryConfig


def configure(telemetry: TelemetryConfig, worker: int | None = None) -> None:
    """Send the log of this process, which is that worker if there are several, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    if telemetry.log_format == "json":
        names = {"asctime": "time", "levelname": "level", "name": "logger"}
        static = {} if worker is None else {"worker": worker}
        handler.setFormatter(
            JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s", rename_fields=names, static_fields=static)
        )
    else:
        who = "" if worker is None else f"worker {worker} "
        handler.setFormatter(logging.Formatter(f"%(asctime)s %(levelname)-7s {who}%(name)s: %(message)s"))
    logging.basicConfig(level=telemetry.log_level.upper(), handlers=[handler], force=True)
    # They report every start and stop of every port; their warnings matter.
    for server in ("uvicorn", "h2corn"):
        logging.getLogger(server).setLevel(logging.WARNING)
