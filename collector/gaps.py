"""What the hub could neither count nor price of late, as metrics. The view `llm_gaps` has it in full."""

from __future__ import annotations

from dataclasses import dataclass

from collector.metrics import CollectorMetrics
from storage import queries
from storage.store import Store

MOST_SERIES = 20
"""Of each gap; what is beyond is one series more."""

OTHERS = "(others)"
GAPS = ("no_price", "no_model", "no_usage", "unmapped")


@dataclass(frozen=True)
class GapsSettings:
    """How fresh the metric is."""

    interval_seconds: float = 300.0
    """Seconds between two looks at the store; 0: none."""


class Gaps:
    """Blocking; one thread at a time."""

    def __init__(self, store: Store, metrics: CollectorMetrics) -> None:
        self._store = store
        self._metrics = metrics

    def measure(self) -> None:
        """Raises StoreError, and then the metric is as before."""
        rows = self._store.rows(queries.text("gaps_by_model"), params={"days": "1", "most": str(MOST_SERIES)})
        self._metrics.gap_calls.clear()
        for gap in GAPS:
            self._metrics.gap_calls.labels(gap, OTHERS, OTHERS).set(0)
        for row in rows:
            self._metrics.gap_calls.labels(row["gap"], row["service"], row["model"]).set(row["calls"])
