"""Health, readiness and metrics without a hub behind them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, Counter

from llmhub import api
from llmhub.api import api_app


async def fine() -> str:
    return ""


async def broken() -> str:
    return "the disk is full; free some space"


async def stuck() -> str:
    await asyncio.sleep(60)
    return ""


async def status() -> dict[str, Any]:
    return {"balanced": True}


def test_readiness_names_each_check_that_fails() -> None:
    client = TestClient(api_app(CollectorRegistry(), {"a": fine, "b": broken}, status))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "problems": {"b": "the disk is full; free some space"}}
    assert client.get("/healthz").text == "ok\n"


def test_readiness_does_not_wait_for_a_check_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "CHECK_SECONDS", 0.05)
    answer = TestClient(api_app(CollectorRegistry(), {"store": stuck}, status)).get("/readyz")
    assert (answer.status_code, answer.json()["problems"]) == (503, {"store": "no answer within 0.05 s"})


def test_metrics_shows_the_registry_it_was_given() -> None:
    registry = CollectorRegistry()
    Counter("things", "Things", registry=registry).inc(3)
    answer = TestClient(api_app(registry, {}, status)).get("/metrics")
    assert "things_total 3.0" in answer.text
    assert answer.headers["content-type"].startswith("text/plain")


def test_status_is_what_the_hub_says_of_itself() -> None:
    assert TestClient(api_app(CollectorRegistry(), {}, status)).get("/status").json() == {"balanced": True}


def test_another_path_is_answered_with_the_right_ones() -> None:
    answer = TestClient(api_app(CollectorRegistry(), {}, status)).get("/v1/traces")
    assert answer.status_code == 404
    assert "/healthz, /readyz, /metrics, /status" in answer.text
    assert "receivers.otlp_http.listen" in answer.text
