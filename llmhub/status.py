"""What the hub says of itself: the ledger, what waits, and whether the store has everything that was received."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from collector.assembly import Collector
from collector.failures import describe
from collector.settings import PipelineSettings
from storage import queries
from storage.store import Store, StoreError

# The questions to the store read much: whoever asks again at once gets the same answer.
_FRESH_SECONDS = 10.0
# A request received by then and not in the spool is in all of its tables.
_SETTLED_SECONDS = 10.0
# Measured with as many consecutive ids in an embedded store: 0.9 s of CPU, and 110 MB more memory at the peak.
_MOST_IDS = 5_000_000
_SHOWN_GAPS = 10
_LATE_CANARY_SECONDS = 60.0


class Status:
    """Reports are JSON documents without telemetry in them. Belongs to the event loop of the collector."""

    def __init__(self, collector: Collector, store: Store, settings: PipelineSettings) -> None:
        self._collector = collector
        self._store = store
        self._settings = settings
        self._asking = asyncio.Lock()
        self._asked = -_FRESH_SECONDS
        self._answer: dict[str, Any] = {}

    async def report(self) -> dict[str, Any]:
        """`balanced` is None when the store cannot be asked; `problems` say what to do."""
        collector = self._collector
        report: dict[str, Any] = {
            "ledger": collector.ledger.rows(),
            "imbalance": collector.ledger.imbalance(),
            "refusals": collector.ledger.refusals(),
            "spool": self._spool(),
            "breaker": {"state": collector.breaker.state, "last_error": collector.breaker.last_error},
            "duplicate_window_seconds": round(collector.pipeline.duplicate_window_seconds, 1),
            "canary": {"lag_seconds": round(collector.canary.lag_seconds, 3), "failures": collector.canary.failures},
            "store": await self._ask_store(),
        }
        problems = [*_imbalances(report), *_obstacles(report)]
        balanced = None if "error" in report["store"] else not _imbalances(report)
        return {"balanced": balanced, "problems": problems, **report}

    def _spool(self) -> dict[str, Any]:
        spool, limits = self._collector.spool, self._settings.spool
        return {
            "bytes": spool.size_bytes,
            "max_bytes": limits.max_bytes,
            "batches": self._collector.delivery.backlog,
            "oldest_seconds": round(spool.oldest_seconds, 1),
            "max_age_seconds": limits.max_age_seconds,
            "damaged_batches": spool.damaged_batches,
            "problem": spool.problem(),
        }

    async def _ask_store(self) -> dict[str, Any]:
        async with self._asking:
            if time.monotonic() - self._asked > _FRESH_SECONDS:
                # In this order: what is not in the spool now is in the store by the time it is asked.
                # The spool's lock is held while its disk, or the store's, is written.
                next_id, spooled = await asyncio.to_thread(self._collector.spool.issued)
                before = time.time() - self._collector.spool.oldest_seconds - _SETTLED_SECONDS
                self._answer = await asyncio.to_thread(self._reconcile, next_id, spooled, before)
                self._asked = time.monotonic()
            return self._answer

    def _reconcile(self, next_id: int, spooled: list[tuple[int, int]], before: float) -> dict[str, Any]:
        try:
            params = {"next": str(next_id), "most": str(_MOST_IDS)}
            (ids,) = self._store.rows(queries.text("request_range"), params=params)
            ranges = ",".join(f"({first},{last})" for first, last in spooled)
            params = {"first": str(ids["first"]), "next": str(next_id), "spooled": f"[{ranges}]"}
            gaps = self._store.rows(queries.text("request_gaps"), params=params)
            differences = self._store.rows(
                queries.text("ledger_difference"), params={"before": str(int(before * 1000))}
            )
            letters = self._collector.dead_letters.counts()
        except StoreError as error:
            return {"error": describe(error)}
        return {
            "request_ids": {
                **ids,
                "next": next_id,
                "spooled": sum(last - first + 1 for first, last in spooled),
                "missing": sum(gap["requests"] for gap in gaps),
                "gaps": [[gap["first"], gap["last"]] for gap in gaps[:_SHOWN_GAPS]],
            },
            "differences": differences,
            "dead_letters": letters,
        }


def _imbalances(report: dict[str, Any]) -> list[str]:
    found = []
    if report["imbalance"]:
        found.append(
            f"{report['imbalance']} requests came in since the start and are neither accounted for nor under way. This is "
            "a defect of the hub: keep its log, and report it"
        )
    ids = report["store"].get("request_ids")
    if ids and ids["missing"]:
        ranges = ", ".join(f"{first} to {last}" for first, last in ids["gaps"])
        found.append(
            f"{ids['missing']} requests of the last day are nowhere: ids {ranges}. Either `llmhub spool repair` has named "
            "them, or the store has lost them (restored from a backup, a partition dropped), or it is a defect of the hub"
        )
    if ids and ids["twice"]:
        found.append(f"{ids['twice']} requests of the last day are stored twice. This is a defect: please report it")
    for row in report["store"].get("differences", []):
        if row["difference"] > 0:
            found.append(
                f"the store has {row['difference']} fewer {row['signal']} records of tenant {row['tenant']} than were "
                "received since yesterday: rows were deleted by hand, or it is a defect of the hub"
            )
    return found


def _obstacles(report: dict[str, Any]) -> list[str]:
    found = []
    store, spool = report["store"], report["spool"]
    if "error" in store:
        found.append(f"the store cannot be asked: {store['error']}. See /readyz and the hub's log")
    if report["breaker"]["last_error"]:
        found.append(
            f"the breaker is {report['breaker']['state']}, batches wait in the spool: look at the store, which said "
            f"{report['breaker']['last_error']}"
        )
    if spool["problem"]:
        found.append(f"senders are refused: {spool['problem']}. The store must take something first")
    if spool["damaged_batches"]:
        found.append(
            f"{spool['damaged_batches']} batches in the spool are damaged: stop the hub and run `llmhub spool repair`, which "
            "names the requests; then look at the disk"
        )
    if report["canary"]["lag_seconds"] > _LATE_CANARY_SECONDS:
        found.append(
            f"a span takes {report['canary']['lag_seconds']:.0f} s until it can be read: the store is slow or away, or "
            "many batches wait in the spool"
        )
    if waiting := store.get("dead_letters", {}).get("waiting"):
        found.append(f"{waiting} dead letters wait for you: `llmhub dlq list`")
    return found
