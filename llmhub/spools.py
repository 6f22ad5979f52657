"""Where the processes of a hub keep their spools.

One process has the spool's directory itself, worker K has `worker-K` in it, `llmhub ingest` has `ingest`. So a hub that is
given another number of workers finds what the others left.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from collector.assembly import key_file
from collector.spool import SpoolSettings
from collector.spool.lock import is_in_use
from collector.spool.segment import SUFFIX
from llmhub.config import Config

_WORKER = "worker-"
_INGEST = "ingest"


def worker_name(number: int) -> str:
    """As in answers and on the spool's directory."""
    return f"{_WORKER}{number}"


def worker_spool(config: Config, number: int) -> SpoolSettings:
    """The settings of a worker's own spool; all workers use one key."""
    return _below(config, worker_name(number))


def ingest_spool(config: Config) -> SpoolSettings:
    """Those of `llmhub ingest`, for with a server a hub may run beside it."""
    return _below(config, _INGEST)


def _below(config: Config, name: str) -> SpoolSettings:
    root, settings = config.spool_directory, config.collector.spool
    return replace(settings, path=str(root / name), key_file=str(key_file(settings, root)))


def own_spools(config: Config) -> list[Path]:
    """The directories of the spools that the processes of a hub with this configuration write to, the first one first."""
    root, workers = config.spool_directory, config.receivers.workers
    return [root] if workers == 1 else [root / worker_name(number) for number in range(workers)]


def leftover_spools(config: Config) -> list[Path]:
    """The directories of spools that no process of a hub with this configuration writes to, nor anybody else now. Raises
    OSError."""
    root, workers = config.spool_directory, config.receivers.workers
    own = {worker_name(number) for number in range(workers)} if workers > 1 else set()
    others = sorted(path for path in root.glob(f"{_WORKER}*") if path.is_dir() and path.name not in own)
    others += [path for path in [root / _INGEST] if any(path.glob(f"*{SUFFIX}")) and not is_in_use(path)]
    return [root, *others] if workers > 1 and any(root.glob(f"*{SUFFIX}")) else others
