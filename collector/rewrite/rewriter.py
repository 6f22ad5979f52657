"""Runs of rewriting: part by part, recorded, taken up again where they stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from collector.errors import HubError
from collector.rewrite.parts import Kind, Part, Progress
from collector.rewrite.renormalise import Renormalise
from collector.rewrite.reprice import Reprice
from collector.rewrite.runs import Run, Runs
from collector.rewrite.statements import Scope
from collector.rewrite.views import drop_scratch
from collector.sweep import Sweep
from storage.store import Store

_TOTALS = """
SELECT
    what, provider, model, sum(rows_before) AS rows_before, sum(rows_after) AS rows_after, sum(rows_changed) AS rows_changed, sum(cost_before) AS cost_before,
    sum(cost_after) AS cost_after, sum(unpriced_before) AS unpriced_before, sum(unpriced_after) AS unpriced_after
FROM llm_rewrite_totals AS t
WHERE rewrite IN ({rewrites:Array(UInt64)})
GROUP BY what, provider, model
ORDER BY what, abs(sum(t.cost_after) - sum(t.cost_before)) DESC, rows_after DESC, provider, model
"""


class Interrupted(HubError):
    """The run was stopped; the same command goes on where it was."""


@dataclass(frozen=True)
class Total:
    """What becomes of a provider's model; of steps, of a role, which is in `model`. Costs are USD. A reprice counts all calls
    of its range, a renormalise those that come out different."""

    what: str
    provider: str
    model: str
    rows_before: int
    rows_after: int
    rows_changed: int
    cost_before: float
    cost_after: float
    unpriced_before: int
    unpriced_after: int


@dataclass(frozen=True)
class Report:
    """What a run has changed, or a dry run would change."""

    run: int
    """0: a dry run, which is not recorded."""
    parts: int
    resumed: int
    """Parts that an earlier attempt had finished."""
    totals: list[Total]


class Rewriter:
    """Rewrites calls in one store. Blocking; one run at a time. While it is at a part, sweeps wait."""

    def __init__(
        self,
        store: Store,
        sweep: Sweep,
        alone: AbstractContextManager[Any] | None = None,
        finish_others: Callable[[], object] = lambda: None,
        kinds: Iterable[Kind] = (),
    ) -> None:
        """`alone` is held while calls are corrected, by the sweep, too: it must be reentrant. `finish_others` carries through
        what else corrects calls and was interrupted."""
        self._store = store
        self._sweep = sweep
        self._alone = alone or threading.RLock()
        self._finish_others = finish_others
        self._runs = Runs(store)
        self._kinds = {kind.name: kind for kind in kinds or (Reprice(store), Renormalise(store))}
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Let a run end as soon as it may. Thread-safe."""
        self._stopping.set()

    def finish(self) -> bool:
        """Carry through what a crash has left half done; whether there was any. Raises StoreError."""
        with self._alone:
            found = self._runs.open()
            if found:
                run, part = found
                self._kinds[run.kind].apply(part)
                self._runs.record(run, part, "finished")
                drop_scratch(self._store)
            return found is not None

    def run(self, kind: str, scope: Scope, *, dry_run: bool = False, progress: Progress = lambda share: None) -> Report:
        """Rewrite a range. `progress` gets the share that is done. Raises StoreError, Interrupted."""
        self.finish()
        run, done = self._runs.start(kind, scope)
        done = [] if dry_run else done
        finished = {(part.scope.since, part.scope.until) for part in done}
        todo = [each for each in self._kinds[kind].parts(scope) if (each.since, each.until) not in finished]
        rewrites = [part.rewrite for part in done]
        for number, each in enumerate(todo):
            part = Part(max([self._runs.last_rewrite(), *rewrites]) + 1, each)
            self._rewrite(run, part, dry_run, _scaled(self._check, progress, number, len(todo)))
            rewrites.append(part.rewrite)
        return self._end(run, rewrites, len(done), dry_run)

    def _rewrite(self, run: Run, part: Part, dry_run: bool, progress: Progress) -> None:
        with self._alone:
            # Rows that these have noted and not yet corrected must not become others meanwhile.
            self._finish_others()
            self._sweep.run_once()
            drop_scratch(self._store)
            progress(0.0)
            kind = self._kinds[run.kind]
            kind.prepare(part, progress)
            if dry_run:
                kind.plan(part)
            else:
                self._runs.record(run, part, "prepared")
                kind.apply(part)
                self._runs.record(run, part, "finished")
            drop_scratch(self._store)

    def _check(self) -> None:
        if self._stopping.is_set():
            raise Interrupted("it was stopped before its end: the same command goes on where it was")

    def _end(self, run: Run, rewrites: list[int], resumed: int, dry_run: bool) -> Report:
        rows = self._store.rows(_TOTALS, params={"rewrites": str(rewrites)})
        if dry_run:
            self._store.execute(f"DELETE FROM llm_rewrite_totals WHERE has({rewrites}, rewrite)")
        else:
            self._runs.complete(run)
        return Report(0 if dry_run else run.number, len(rewrites), resumed, [Total(**row) for row in rows])


def _scaled(check: Callable[[], None], progress: Progress, number: int, count: int) -> Progress:
    """The progress of one part as that of all."""

    def advance(share: float) -> None:
        check()
        progress((number + share) / count)

    return advance
