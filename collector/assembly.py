"""The collector put together: spool, breaker, writer, ledger and pipeline on one store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry

from collector.breaker import STATES, Breaker
from collector.canary import Canary
from collector.dead_letters import DeadLetters
from collector.delivery import Delivery
from collector.ledger import Ledger
from collector.leftovers import Leftovers
from collector.letterbox import Letterbox
from collector.metrics import CollectorMetrics
from collector.pipeline import Pipeline
from collector.replay import Replayer
from collector.settings import PipelineSettings
from collector.spool import Spool, SpoolSettings, open_key
from collector.writer import Writer
from storage.store import Store

KEY_FILE = "spool.key"
_RECENT = """
SELECT hex(digest) AS digest
FROM
(
    SELECT digest, received_at FROM ingest_requests
    WHERE received_at > now64(3) - toIntervalSecond({seconds:UInt32}) ORDER BY received_at DESC LIMIT {limit:UInt64}
)
ORDER BY received_at
"""


def key_file(settings: SpoolSettings, directory: Path) -> Path:
    """Where the key of spool and dead letters is; `directory` is the spool's."""
    return Path(settings.key_file or directory.with_name(KEY_FILE))


class Collector:
    """The parts, by name. The canary sings only when it is told to. `directory` is the spool's, where the settings do not
    name one; `leftovers` are directories of spools that nobody writes to any more."""

    def __init__(
        self,
        store: Store,
        settings: PipelineSettings,
        registry: CollectorRegistry,
        directory: Path,
        breaker: Breaker | None = None,
        leftovers: Iterable[Path] = (),
    ) -> None:
        """Opens the spools: raises SpoolError, KeyFileError."""
        self._store = store
        self._settings = settings
        path = Path(settings.spool.path or directory)
        cipher = open_key(key_file(settings.spool, path))
        self.spool = Spool(path, cipher, settings.spool, store.flush)
        self.metrics = CollectorMetrics(registry)
        self.ledger = Ledger(registry)
        self.breaker = breaker or Breaker()
        self.dead_letters = DeadLetters(store, cipher)
        writer = Writer(store, self.breaker, self.dead_letters, self.metrics)
        self.delivery = Delivery(self.spool, writer, self.breaker, self.ledger, settings)
        self.leftovers = Leftovers(leftovers, cipher, settings.spool, store, writer, self.breaker, self.ledger)
        letterbox = Letterbox(self.dead_letters)
        self.pipeline = Pipeline(
            self.delivery, self.spool, self.ledger, letterbox, self.metrics, settings, self._recovered
        )
        self.replayer = Replayer(store, self.dead_letters, self.pipeline, self.spool)
        self.canary = Canary(store, self.pipeline.submit, self.metrics, settings.canary_seconds)
        self._show()

    async def start(self) -> None:
        """Take up what is in the spools, and remember what was stored of late. Raises SpoolError, StoreError."""
        self.ledger.belong_to(asyncio.get_running_loop())
        rows = await asyncio.to_thread(
            self._store.rows,
            _RECENT,
            params={
                "seconds": str(int(self._settings.duplicate_seconds)),
                "limit": str(self._settings.duplicate_requests),
            },
        )
        await self.pipeline.start(bytes.fromhex(row["digest"]) for row in rows)
        await self.leftovers.start(self.pipeline.remember)

    async def close(self, patience: float = 5.0) -> None:
        """As `Pipeline.close`."""
        self.canary.stop()
        await asyncio.gather(self.leftovers.close(patience), self.pipeline.close(patience))

    async def _recovered(self) -> None:
        await self.delivery.recovered()
        await self.leftovers.recovered()

    def _show(self) -> None:
        metrics = self.metrics
        left = self.leftovers
        metrics.spool_bytes.set_function(lambda: self.spool.size_bytes + left.size_bytes)
        metrics.spool_batches.set_function(lambda: self.delivery.backlog + left.batches)
        metrics.spool_oldest_seconds.set_function(lambda: max(self.spool.oldest_seconds, left.oldest_seconds))
        metrics.spool_damaged_batches.set_function(lambda: self.spool.damaged_batches + left.damaged_batches)
        for state in STATES:
            metrics.breaker_state.labels(state).set_function(partial(self._is, state))

    def _is(self, state: str) -> bool:
        return self.breaker.state == state
