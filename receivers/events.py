"""LLM calls and events over plain HTTP and JSON, for senders without an SDK: POST /v1/events.

An invalid event is told with its place, its path and its remedy, and keeps no other from being stored.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import Any

from fastapi import Request, Response
from prometheus_client import CollectorRegistry, Counter
from starlette.routing import BaseRoute, Route

from collector.signals import EVENTS
from receivers.events_otlp import SCHEMA, Converted, InvalidEvent, convert, parse_event
from receivers.intake import Intake, Refusal, Refused, TenantResolver
from receivers.intake_budget import IntakeBudget, RequestSlots
from receivers.otlp_http import CHARSETS, SECTION, OtlpHttpSettings, answered, parse_content_type, read_body
from receivers.otlp_response import JSON
from receivers.threads import decode

# More of them in one request would keep its sender waiting for seconds.
MAX_EVENTS = 10_000
# So far one looks for the end of the first line.
_HINT_BYTES = 64 * 1024
NDJSON = ("application/x-ndjson", "application/jsonl")


class EventMetrics:
    """What this door counts, in `registry`. Thread-safe."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter(
            "llmhub_receivers_events", "Events of POST /v1/events by outcome", ["outcome"], registry=registry
        )


def event_routes(
    pipeline: Intake, settings: OtlpHttpSettings, tenants: TenantResolver, metrics: EventMetrics, budget: IntakeBudget
) -> list[BaseRoute]:
    """POST /v1/events, and GET /v1/events/schema, for the listener of OTLP/HTTP and with its limits."""
    door = _Door(pipeline, settings, tenants, metrics, budget)
    return [
        Route("/v1/events", door.respond, methods=["POST"]),
        Route("/v1/events/schema", _schema, methods=["GET"]),
    ]


async def _schema(request: Request) -> Response:
    return Response(json.dumps(SCHEMA, indent=2), media_type="application/schema+json")


class _Door:
    def __init__(
        self,
        pipeline: Intake,
        settings: OtlpHttpSettings,
        tenants: TenantResolver,
        metrics: EventMetrics,
        budget: IntakeBudget,
    ) -> None:
        self._pipeline = pipeline
        self._settings = settings
        self._tenants = tenants
        self._metrics = metrics
        self._budget = budget
        self._slots = RequestSlots(settings.max_concurrent_requests, f"{SECTION}.max_concurrent_requests")

    async def respond(self, request: Request) -> Response:
        return await answered(self._take(request), request, self._pipeline, EVENTS)

    async def _take(self, request: Request) -> Response:
        lines = _is_ndjson(request.headers.get("content-type", ""))
        with self._slots:
            converted = await self._read(request, lines)
            stored = await self._submit(converted, self._tenants.resolve(request.headers))
        rejected = [asdict(event) for event in converted.rejected] + stored
        accepted = converted.accepted - sum(entry["records"] for entry in stored)
        self._metrics.events.labels("accepted").inc(accepted)
        self._metrics.events.labels("rejected").inc(converted.accepted + len(converted.rejected) - accepted)
        if converted.rejected and not converted.accepted:
            self._pipeline.refused(EVENTS, Refusal.BAD_JSON)
        code = 400 if rejected and not accepted else 200
        return Response(json.dumps({"accepted": accepted, "rejected": rejected}), code, media_type=JSON)

    async def _read(self, request: Request, lines: bool) -> Converted:
        with self._budget.lease() as lease:
            body = await read_body(request, self._settings, lease)
            lease.grow(len(body))
            return await decode(len(body), read_events, body, lines)

    async def _submit(self, converted: Converted, tenant: str) -> list[dict[str, Any]]:
        """Raises the HubError of a part that was not stored; sent again, what was stored is recognised. Returns
        what the store itself rejected, which it tells by number and not by place."""
        work = [self._pipeline.submit(signal, tenant, body) for signal, body in converted.requests.items()]
        outcomes = await asyncio.gather(*work, return_exceptions=True)
        told = []
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            if outcome.rejected:
                told.append({"index": None, "path": "$", "message": outcome.reason, "records": outcome.rejected})
        return told


def read_events(body: bytes, lines: bool) -> Converted:
    """The events in `body`: one JSON object or an array of them or, with `lines`, one a line. Raises Refused."""
    return convert(_lines(body) if lines else _document(body))


def _document(body: bytes) -> list[Any]:
    try:
        document = parse_event(body)
    except InvalidEvent as error:
        hint = f" For one event a line, send Content-Type: {NDJSON[0]}." if b"}\n{" in body[:_HINT_BYTES] else ""
        raise Refused(Refusal.BAD_JSON, f"{error}{hint}") from None
    events = document if isinstance(document, list) else [document]
    _check_number(len(events))
    return events


def _lines(body: bytes) -> list[Any]:
    _check_number(body.rstrip().count(b"\n") + 1)
    return [_parsed(line) for line in body.split(b"\n") if line.strip()]


def _check_number(events: int) -> None:
    if events > MAX_EVENTS:
        raise Refused(
            Refusal.TOO_LARGE,
            f"The request has {events} events, the limit is {MAX_EVENTS}. Send them in several requests.",
        )


def _parsed(line: bytes) -> Any:
    try:
        return parse_event(line)
    except InvalidEvent as error:
        return error


def _is_ndjson(content_type: str) -> bool:
    media_type, charset = parse_content_type(content_type)
    if media_type not in (JSON, *NDJSON) or charset not in CHARSETS:
        given = f"Content-Type {content_type!r}" if content_type else "A request without Content-Type"
        raise Refused(
            Refusal.UNSUPPORTED_MEDIA_TYPE,
            f"{given} is not supported. Send {JSON}, or {NDJSON[0]} with one event a line, in utf-8.",
        )
    return media_type in NDJSON
