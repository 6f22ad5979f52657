"""Health, readiness and metrics over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.routing import BaseRoute

Check = Callable[[], Awaitable[str]]
"""Returns what is wrong and what to do about it, '' when nothing is."""

CHECK_SECONDS = 5.0


def api_app(
    registry: CollectorRegistry,
    checks: Mapping[str, Check],
    status: Callable[[], Awaitable[dict[str, Any]]],
    routes: Sequence[BaseRoute] = (),
) -> FastAPI:
    """GET /healthz: the process answers. /readyz: 200, or 503 with what is wrong. /metrics: Prometheus text. /status: the
    ledger and what waits, as JSON. And `routes` of other parts."""
    app = FastAPI(title="LLM Analytics Hub", docs_url=None, redoc_url=None)
    app.router.routes.extend(routes)

    @app.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> str:
        return "ok\n"

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        problems = await failing(checks)
        return JSONResponse({"ready": not problems, "problems": problems}, status_code=503 if problems else 200)

    # In a thread, for what is behind the registry may take its time.
    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/status")
    async def report() -> dict[str, Any]:
        return await status()

    @app.exception_handler(404)
    async def nowhere(request: Request, error: Exception) -> PlainTextResponse:
        there = "/healthz, /readyz, /metrics, /status and the WebSocket /v1/tail"
        text = f"There is nothing at {request.url.path}, but at {there}. Exports go to receivers.otlp_http.listen.\n"
        return PlainTextResponse(text, 404)

    return app


async def failing(checks: Mapping[str, Check]) -> dict[str, str]:
    """What is wrong, by the name of the check that found it."""
    return {name: problem for name, check in checks.items() if (problem := await _ask(check))}


async def _ask(check: Check) -> str:
    try:
        return await asyncio.wait_for(check(), CHECK_SECONDS)
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:g} s"
