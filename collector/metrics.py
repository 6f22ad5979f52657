"""What the collector counts. docs/metrics.md is checked against these declarations."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class CollectorMetrics:
    """One set of instruments in `registry`. Thread-safe, as prometheus_client is."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"llmhub_collector_{name}", text, labels, registry=registry)

        self.requests = counter("requests", "Export requests by outcome", "signal", "outcome")
        self.refused = counter(
            "refused", "Requests a receiver refused before the collector saw them", "signal", "reason"
        )
        self.received_bytes = counter("received_bytes", "Bytes of protobuf requests received", "signal")
        self.rejected_records = counter("rejected_records", "Records not stored but noted in dead_letters", "signal")
        self.batches = counter("batches", "Inserts into the store by outcome", "signal", "outcome")
        self.ack_seconds = Histogram(
            "llmhub_collector_ack_seconds",
            "From receipt to acknowledgement",
            ("signal",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.insert_seconds = Histogram(
            "llmhub_collector_insert_seconds",
            "One insert into the store",
            ("signal",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.pending_bytes = Gauge(
            "llmhub_collector_pending_bytes", "Bytes received and not yet acknowledged", registry=registry
        )
        self.duplicate_window_seconds = Gauge(
            "llmhub_collector_duplicate_window_seconds",
            "How far back a repeated request is recognised",
            registry=registry,
        )
        self.spool_bytes = Gauge("llmhub_spool_bytes", "Size of the spool on disk", registry=registry)
        self.spool_batches = Gauge(
            "llmhub_spool_batches", "Batches in the spool that wait for their turn", registry=registry
        )
        self.spool_oldest_seconds = Gauge(
            "llmhub_spool_oldest_seconds", "Age of the oldest batch that is not in the store", registry=registry
        )
        self.spool_damaged_batches = Gauge(
            "llmhub_spool_damaged_batches", "Batches in the spool that cannot be read", registry=registry
        )
        self.breaker_state = Gauge(
            "llmhub_breaker_state", "1 for the state the breaker is in", ("state",), registry=registry
        )
        self.sweeps = Counter("llmhub_sweep_runs", "Sweeps by outcome", ("outcome",), registry=registry)
        self.sweep_repeats = Counter("llmhub_sweep_repeats", "Repeated calls taken out", registry=registry)
        self.sweep_seconds = Histogram(
            "llmhub_sweep_seconds", "One finished sweep", buckets=_SECONDS, registry=registry
        )
        self.prices_runs = Counter(
            "llmhub_prices_runs", "Looks for calls without a price by outcome", ("outcome",), registry=registry
        )
        self.prices_filled_in = Counter(
            "llmhub_prices_filled_in", "Calls whose cost was filled in after they were stored", registry=registry
        )
        self.prices_unresolved = Gauge(
            "llmhub_prices_unresolved", "Names of models that calls had and no price is known for", registry=registry
        )
        self.canary_lag_seconds = Gauge(
            "llmhub_canary_lag_seconds",
            "How long the last span of the hub's own took until it could be read, or the present one takes already",
            registry=registry,
        )
        self.canary_failures = Counter(
            "llmhub_canary_failures", "Spans of the hub's own that were refused or not found in time", registry=registry
        )
        self.registry_loads = Counter(
            "llmhub_registry_loads", "New contents of the registry file by outcome", ("outcome",), registry=registry
        )
        self.registry_good = Gauge(
            "llmhub_registry_good", "0 while the registry file cannot be used and the last good one is in force", registry=registry
        )  # fmt: skip
        self.registry_good.set(1)
        self.gap_calls = Gauge(
            "llmhub_gaps_calls",
            "Calls and spans of today and yesterday that cannot be counted or priced",
            ("gap", "service", "model"),
            registry=registry,
        )
