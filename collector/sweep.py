"""Calls that were reported more than once: a call counts once, however often and by whomever it is sent.

Asking at every insert whether a call is known would cost more than storing it. So repetitions are stored, and once a
minute a sweep looks at what was inserted since the last one. Reports of one call agree in the provider's request id, or
response id, or in trace and span id (storage/sql/fragments/call_key.sql), and overlap in time; all but the best, or of
equals the first stored, are noted in `llm_call_repeats`, subtracted from `llm_calls_1m` and deleted from `llm_calls`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from collector.metrics import CollectorMetrics
from storage.sql import statement
from storage.statement import quote_name
from storage.store import Store

log = logging.getLogger(__name__)

BATCH_CALLS = 500_000
"""New calls that one statement compares, and about as many repetitions are taken out at a time: some 300 MB of memory."""

WINDOW_SECONDS = 10
"""Reports of one call begin at most so far apart. A wider window makes each sweep look at more of what it has seen before."""


@dataclass(frozen=True)
class SweepSettings:
    """How soon a repetition no longer counts."""

    interval_seconds: float = 60.0
    """Seconds between the end of a sweep and the start of the next; 0: no sweeps."""


@dataclass(frozen=True)
class SweepReport:
    """What one run took out: calls, the distinct minutes they were in (counted anew in each batch), and its time."""

    repeats: int
    minutes: int
    seconds: float


class Sweep:
    """Takes repeated calls out of one store. Blocking; one thread, and one hub a store, may sweep at a time.

    Each step can be done again without harm, and a sweep that was interrupted is finished before the next begins:
    its number is in `llm_call_repeats` and not yet in `llm_sweeps`. `alone` is held meanwhile: nothing else may
    correct calls.
    """

    def __init__(
        self, store: Store, alone: AbstractContextManager[Any] | None = None, *, batch_calls: int = BATCH_CALLS
    ) -> None:
        self._store = store
        self._alone = alone or threading.Lock()
        self._batch = batch_calls
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Let a running sweep end after the batch it is at; the next one goes on there. Thread-safe."""
        self._stopping.set()

    def run_once(self) -> SweepReport:
        """Take out what was repeated in everything that is in `llm_calls` by now. Raises StoreError."""
        with self._alone:
            return self._run()

    def _run(self) -> SweepReport:
        started = time.perf_counter()
        (state,) = self._store.rows(statement("sweep/state"))
        run = _Run(self._store, state["sweep"] + 1, state["block"])
        run.finish()
        if state["newest"] != state["block"]:
            looked_at_all = self._look(run, state["newest"])
            run.finish()
            if looked_at_all:
                run.record(state["newest"], 0)
        return SweepReport(run.repeats, run.minutes, time.perf_counter() - started)

    def _look(self, run: _Run, newest: int) -> bool:
        """Note the repetitions, slice by slice; False when told to stop before the end."""
        params = {"since": str(run.block), "until": str(newest), "slice": str(self._batch)}
        for each in self._store.rows(statement("sweep/slices"), params=params):
            # A batch may be cut off by its size, so what is left of the slice is looked at again.
            while run.find(each["first"], each["last"], self._batch) >= self._batch:
                run.finish()
            if self._stopping.is_set():
                return False
        return True


class _Run:
    """The steps of one run and what they came to. A run has a sweep for each batch of repetitions, and one for its end."""

    def __init__(self, store: Store, sweep: int, block: int) -> None:
        self._store = store
        self._sweep = sweep
        self.block = block
        self.repeats = 0
        self.minutes = 0

    def find(self, first: int, last: int, batch: int) -> int:
        """Note the repetitions between two instants (nanoseconds since 1970); returns how many are noted by now."""
        self._execute("find", since=self.block, first=first, last=last, batch=batch, window=WINDOW_SECONDS)
        return self._found()[0]

    def finish(self) -> None:
        """Take out what is noted."""
        repeats, minutes = self._found()
        if repeats:
            self._execute("correct")
            self._execute("delete")
            self.record(self.block, repeats)
            self.repeats += repeats
            self.minutes += minutes

    def record(self, block: int, repeats: int) -> None:
        """This sweep is finished, and everything up to the insert `block` was looked at."""
        self._execute("record", block=block, repeats=repeats)
        self._sweep += 1

    def _found(self) -> tuple[int, int]:
        (row,) = self._store.rows(statement("sweep/found"), params={"sweep": str(self._sweep)})
        return row["repeats"], row["minutes"]

    def _execute(self, name: str, **values: int) -> None:
        database = quote_name(self._store.database)
        self._store.execute(statement(f"sweep/{name}", sweep=self._sweep, database=database, **values))


class Sweeper:
    """Sweeps, and counts what came of it. Blocking; one thread at a time."""

    def __init__(
        self, sweep: Sweep, metrics: CollectorMetrics, finish_rewrite: Callable[[], object] = lambda: None
    ) -> None:
        """`finish_rewrite` comes before each sweep: rows of an unfinished rewrite look like repetitions."""
        self._sweep = sweep
        self._finish_rewrite = finish_rewrite
        self._metrics = metrics

    def once(self) -> None:
        """A sweep that fails is counted, and the next one goes on where it stopped. Raises StoreError."""
        try:
            self._finish_rewrite()
            report = self._sweep.run_once()
        except Exception:
            self._metrics.sweeps.labels("failed").inc()
            raise
        self._metrics.sweeps.labels("finished").inc()
        self._metrics.sweep_repeats.inc(report.repeats)
        self._metrics.sweep_seconds.observe(report.seconds)
        if report.repeats:
            log.info("took repeated calls out", extra={"calls": report.repeats, "seconds": round(report.seconds, 3)})
