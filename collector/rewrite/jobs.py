"""One rewrite at a time, in a thread of the hub, watched from outside."""

from __future__ import annotations

import logging
import threading
from dataclasses import asdict, dataclass
from typing import Any

from collector.errors import HubError
from collector.rewrite.rewriter import Rewriter
from collector.rewrite.statements import Scope
from storage.store import StoreError

log = logging.getLogger(__name__)


class Busy(HubError):
    """Another rewrite is under way."""


@dataclass(frozen=True)
class Job:
    """What is asked for."""

    kind: str
    scope: Scope
    dry_run: bool


class Jobs:
    """Starts and watches the runs of one rewriter. Thread-safe."""

    def __init__(self, rewriter: Rewriter) -> None:
        self._rewriter = rewriter
        self._lock = threading.Lock()
        self._job: Job | None = None
        self._thread: threading.Thread | None = None
        self._state: dict[str, Any] = {"running": False}

    def start(self, job: Job) -> None:
        """Begin, or watch the same job that is under way already. Raises Busy."""
        with self._lock:
            if self._thread and self._thread.is_alive():
                if job != self._job:
                    raise Busy("another rewrite is under way: start this one when it has ended")
                return
            self._job = job
            self._state = {"running": True, "share": 0.0}
            self._thread = threading.Thread(target=self._run, args=(job,), name=f"rewrite-{job.kind}")
            self._thread.start()

    def state(self) -> dict[str, Any]:
        """`running` with `share` done; afterwards `report`, or `error`."""
        return self._state

    def stop(self) -> None:
        """Let a run end as soon as it may. Does not wait."""
        self._rewriter.stop()

    def _run(self, job: Job) -> None:
        try:
            report = self._rewriter.run(job.kind, job.scope, dry_run=job.dry_run, progress=self._progress)
        except StoreError as error:
            self._end(job, {"error": f"the store: {error.message}"})
        except Exception as error:
            self._end(job, {"error": str(error)})
        else:
            self._end(job, {"report": asdict(report)})

    def _progress(self, share: float) -> None:
        self._state = {"running": True, "share": share}

    def _end(self, job: Job, outcome: dict[str, Any]) -> None:
        self._state = {"running": False, **outcome}
        log.info(
            "a rewrite has ended", extra={"kind": job.kind, "dry_run": job.dry_run, "error": outcome.get("error", "")}
        )
