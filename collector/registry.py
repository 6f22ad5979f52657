"""Keeps the service registry of the store what its file and the asset events say."""

from __future__ import annotations

import logging
from pathlib import Path

from collector.file_stamp import Stamp, file_stamp
from collector.metrics import CollectorMetrics
from storage import registry
from storage.registry import RegistryError, RegistrySettings
from storage.store import Store

log = logging.getLogger(__name__)


class RegistryKeeper:
    """One hub a store keeps it. Blocking; one thread at a time."""

    def __init__(self, store: Store, metrics: CollectorMetrics, settings: RegistrySettings, tenant: str) -> None:
        """`tenant` is whose services those are for which the file says none."""
        self._store = store
        self._metrics = metrics
        self._path = Path(settings.path) if settings.path else None
        self._tenant = tenant
        self._seen: Stamp | None = None
        self._events = ""

    def check(self) -> None:
        """Take over what is new. A file that cannot be used changes nothing, and is told once. Raises StoreError."""
        if self._path and (stamp := file_stamp(self._path)) != self._seen:
            self._load(self._path)
            self._seen = stamp
        events = registry.events_version(self._store)
        if events != self._events:
            registry.load_events(self._store)
            self._events = events

    def _load(self, path: Path) -> None:
        try:
            if registry.load_file(self._store, path, self._tenant):
                log.info("the service registry is loaded", extra={"file": str(path)})
        except RegistryError as error:
            self._metrics.registry_loads.labels("failed").inc()
            self._metrics.registry_good.set(0)
            log.error("the service registry is left as it was", extra={"error": str(error)})
        else:
            self._metrics.registry_loads.labels("loaded").inc()
            self._metrics.registry_good.set(1)
