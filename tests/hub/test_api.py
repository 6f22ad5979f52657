"""What a hub says about itself: addresses, health, readiness, metrics."""

from __future__ import annotations

import json

from prometheus_client.parser import text_string_to_metric_families

from collector.signals import Signal
from tests.collector.requests import call, traces
from tests.hub.conftest import StartHub
from tests.hub.process import LISTENERS, Exports, Hub, until


def test_up_prints_where_everything_listens(hub: Hub) -> None:
    assert set(LISTENERS.values()) < set(hub.addresses)
    assert len({hub.addresses[name] for name in LISTENERS.values()}) == 4
    assert all(hub.addresses[name].startswith("127.0.0.1:") for name in LISTENERS.values())
    assert hub.addresses["Store"] == hub.dsn


def test_a_healthy_hub_is_alive_and_ready(hub: Hub) -> None:
    assert (hub.api("/healthz").status, hub.api("/healthz").data) == (200, b"ok\n")
    assert hub.api("/readyz").status == 200
    assert hub.api("/readyz").json() == {"ready": True, "problems": {}}


def test_metrics_are_prometheus_text_with_the_collectors_families(hub: Hub) -> None:
    response = hub.api("/metrics")
    families = {family.name: family.type for family in text_string_to_metric_families(response.data.decode())}
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    ours = {
        "llmhub_collector_requests": "counter",
        "llmhub_collector_ack_seconds": "histogram",
        "llmhub_ledger_imbalance": "gauge",
        "llmhub_spool_bytes": "gauge",
        "llmhub_sweep_runs": "counter",
    }
    assert ours.items() <= families.items()
    assert "process_resident_memory_bytes" in families


def test_every_request_moves_the_counts_of_its_signal_and_outcome(hub: Hub, exports: Exports, service: str) -> None:
    def counts() -> list[float]:
        requests = [
            hub.metric("llmhub_collector_requests_total", signal="traces", outcome=o) for o in ("stored", "invalid")
        ]
        return [
            *requests,
            hub.metric("llmhub_collector_refused_total", signal="traces", reason="unsupported_media_type"),
            hub.metric("llmhub_collector_received_bytes_total", signal="traces"),
            hub.metric("llmhub_collector_ack_seconds_count", signal="traces"),
        ]

    before = counts()
    body = traces(call(), service=service).SerializeToString()
    exports.send(Signal.TRACES, body)
    exports.code(Signal.TRACES, b"\xff")
    hub.post(Signal.TRACES, body, {"Content-Type": "text/plain"})
    assert [after - was for after, was in zip(counts(), before, strict=True)] == [1, 1, 1, len(body) + 1, 2]
    assert hub.metric("llmhub_collector_pending_bytes") == 0


def test_a_hub_that_can_take_no_more_says_why_and_recovers_what_it_took(start_hub: StartHub, service: str) -> None:
    """Nothing is inserted before the end of the first minute, so what was sent waits, up to the stop."""
    hub = start_hub(
        {
            "collector.flush_seconds": "60",
            "collector.ack_seconds": "60",
            "collector.max_pending_bytes": "1200",
            "receivers.otlp_grpc.max_message_bytes": "1200",
            "receivers.otlp_http.max_body_bytes": "1200",
            "receivers.kafka.max_message_bytes": "1200",
        }
    )
    body = traces(call(filler="x" * 800), service=service).SerializeToString()
    with hub.channel() as channel:
        waiting = Exports(channel).start(Signal.TRACES, body)
        assert until(lambda: hub.api("/readyz").status == 503)
        problem = json.loads(hub.api("/readyz").data)
        assert problem["ready"] is False
        assert "collector.max_pending_bytes" in problem["problems"]["collector"]
        refused = hub.post(Signal.TRACES, traces(call(filler="x" * 800), service=service).SerializeToString())
        assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
        assert hub.api("/healthz").status == 200
        hub.terminate()
        assert waiting.result() == b""
    assert hub.wait() == 0
    assert hub.query(f"SELECT count() AS n FROM llm_calls WHERE service = '{service}'").rows() == [{"n": 1}]
