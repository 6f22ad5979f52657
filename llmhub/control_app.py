"""What the control socket offers: what an operator may see and change while the hub runs."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from collector.assembly import Collector
from collector.dead_letters import DeadLetter
from collector.pricing import Pricing
from collector.rewrite import Busy, Job, Jobs, Scope
from llmhub.api import Check, failing
from llmhub.status import Status
from storage.price_store import PriceError
from storage.store import StoreError

REPLAY_MOST = 32
"""Letters that one request may replay: they go through the pipeline together."""

Ids = Annotated[list[int], Body()]
Document = Annotated[str, Body(embed=True)]


class Rewrite(BaseModel):
    """A rewrite to start; times with a time zone."""

    kind: Literal["reprice", "renormalise"]
    since: datetime
    until: datetime
    tenant: str = ""
    service: str = ""
    dry_run: bool = False

    @property
    def job(self) -> Job:
        return Job(self.kind, Scope(self.since, self.until, self.tenant, self.service), self.dry_run)


def control_app(
    collector: Collector,
    status: Status,
    pricing: Pricing,
    rewrites: Jobs,
    checks: Mapping[str, Check] | None = None,
) -> FastAPI:
    """JSON in and out. Errors are {"detail": what is wrong}. `checks` are those of /readyz."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(StoreError)
    async def store_error(_: Request, error: StoreError) -> JSONResponse:
        return JSONResponse({"detail": f"the store: {error.message}"}, 503)

    @app.exception_handler(PriceError)
    async def price_error(_: Request, error: PriceError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 409)

    @app.get("/ping")
    async def ping() -> str:
        return "ok"

    @app.get("/problems")
    async def problems() -> dict[str, str]:
        return await failing(checks or {})

    @app.get("/status")
    async def report() -> dict[str, Any]:
        return await status.report()

    for routes in (_dead_letters(collector), _rewrites(rewrites), _prices(pricing)):
        app.include_router(routes)
    return app


def _dead_letters(collector: Collector) -> APIRouter:
    routes, letters = APIRouter(prefix="/dlq"), collector.dead_letters

    @routes.get("")
    async def newest(limit: int) -> list[dict[str, Any]]:
        return await asyncio.to_thread(letters.newest, limit)

    @routes.get("/replayable")
    async def replayable() -> list[int]:
        return await asyncio.to_thread(letters.replayable)

    @routes.get("/older")
    async def older(days: float) -> list[int]:
        return await asyncio.to_thread(letters.older_than, days)

    @routes.get("/{request_id}")
    async def show(request_id: int) -> dict[str, Any]:
        try:
            letter = await asyncio.to_thread(letters.get, request_id)
        except ValueError as error:
            raise HTTPException(409, f"dead letter {request_id}: {error}; set collector.spool.key_file") from error
        if letter is None:
            raise HTTPException(404, f"there is no dead letter {request_id}: `llmhub dlq list` shows them")
        return _letter(letter)

    @routes.post("/replay")
    async def replay(request_ids: Ids) -> list[dict[str, Any]]:
        done = await asyncio.gather(*map(collector.replayer.replay, request_ids[:REPLAY_MOST]))
        return [{"request_id": each.request_id, "outcome": each.outcome, "detail": each.detail} for each in done]

    @routes.post("/purge")
    async def purge(request_ids: Ids) -> int:
        return await asyncio.to_thread(letters.purge, request_ids)

    return routes


def _letter(letter: DeadLetter) -> dict[str, Any]:
    names = ("request_id", "tenant", "reason", "records", "replayed", "received_ns")
    return {
        **{name: getattr(letter, name) for name in names},
        "signal": letter.signal.value,
        "size": len(letter.body),
        "body": base64.b64encode(letter.body).decode(),
    }


def _rewrites(jobs: Jobs) -> APIRouter:
    routes = APIRouter(prefix="/rewrites")

    @routes.post("")
    async def rewrite(wanted: Rewrite) -> str:
        try:
            jobs.start(wanted.job)
        except Busy as error:
            raise HTTPException(409, str(error)) from error
        return "started"

    @routes.get("")
    async def rewriting() -> dict[str, Any]:
        return jobs.state()

    return routes


def _prices(pricing: Pricing) -> APIRouter:
    routes = APIRouter(prefix="/prices")

    @routes.post("/override")
    async def override(document: Document) -> dict[str, Any]:
        return asdict(await asyncio.to_thread(pricing.override, document))

    @routes.post("/override/remove")
    async def remove_override(document: Document) -> dict[str, Any]:
        return asdict(await asyncio.to_thread(pricing.remove_override, document))

    @routes.post("/refresh")
    async def refresh(document: Document, source: Document) -> dict[str, Any]:
        return asdict(await asyncio.to_thread(pricing.refresh, document, source))

    return routes
