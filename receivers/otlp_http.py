"""OTLP over HTTP: POST /v1/traces, /v1/logs and /v1/metrics, protobuf and JSON.

Spec: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute

from collector.errors import Unavailable
from collector.pipeline import Signal
from collector.signals import EVENTS
from receivers import otlp_json, otlp_response
from receivers.content_encoding import inflate, too_large
from receivers.http_server import MAX_CONNECTIONS, HttpServer
from receivers.intake import Intake, Refusal, Refused, SingleTenant, TenantResolver
from receivers.intake_budget import IntakeBudget, Lease, RequestSlots
from receivers.listener import tls_files
from receivers.otlp_response import JSON, PROTOBUF
from receivers.threads import decode

log = logging.getLogger(__name__)

SECTION = "receivers.otlp_http"
_LIMIT_SETTING = f"{SECTION}.max_body_bytes"
CHARSETS = ("", "utf-8", "utf8", "us-ascii")
_HINTS = {
    Refusal.UNSUPPORTED_MEDIA_TYPE: {"Accept-Post": f"{PROTOBUF}, {JSON}"},
    Refusal.UNSUPPORTED_ENCODING: {"Accept-Encoding": "gzip, deflate, zstd"},
    Refusal.BODY_TIMEOUT: {"Connection": "close"},
}
# Neither JSON nor an export in protobuf can begin like this.
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_RESTART_SECONDS = 5.0


@dataclass(frozen=True)
class OtlpHttpSettings:
    """`max_body_bytes` limits a body before and after decompression; `body_timeout_seconds` is the seconds a
    sender has to deliver it. TLS is on when both files are set."""

    listen: str = "127.0.0.1:4318"
    max_body_bytes: int = 20 * 1024 * 1024
    max_concurrent_requests: int = 10_000
    max_connections: int = MAX_CONNECTIONS
    body_timeout_seconds: float = 30.0
    tls_cert_file: str = ""
    tls_key_file: str = ""


class OtlpHttpReceiver:
    """Serves OTLP/HTTP, and `routes` beside it, on the running event loop. Started once, stopped once or more."""

    def __init__(
        self,
        pipeline: Intake,
        settings: OtlpHttpSettings,
        tenants: TenantResolver | None = None,
        budget: IntakeBudget | None = None,
        routes: Sequence[BaseRoute] = (),
        *,
        share_port: bool = False,
    ) -> None:
        self._settings = settings
        self._app = otlp_http_app(pipeline, settings, tenants or SingleTenant(), budget or IntakeBudget(), routes)
        self._share_port = share_port
        self._server: HttpServer | None = None

    async def start(self) -> str:
        """Listen; returns the bound 'host:port'. Raises ListenError, which names the setting."""
        settings = self._settings
        tls = tls_files(settings.tls_cert_file, settings.tls_key_file, SECTION)
        self._server = HttpServer(
            self._app,
            settings.listen,
            f"{SECTION}.listen",
            tls,
            share_port=self._share_port,
            max_connections=settings.max_connections,
        )
        return await self._server.start()

    async def stop(self, grace: float) -> None:
        """Take no new connections, give exports in flight `grace` seconds, then tell their senders to come again."""
        if self._server is not None:
            await self._server.stop(grace)


def otlp_http_app(
    pipeline: Intake,
    settings: OtlpHttpSettings,
    tenants: TenantResolver,
    budget: IntakeBudget,
    routes: Sequence[BaseRoute] = (),
) -> FastAPI:
    """The three routes and `routes`; every error, wrong paths and methods included, is a google.rpc.Status."""
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.router.routes.extend(routes)
    signals = {f"/v1/{signal}": signal for signal in Signal}
    slots = RequestSlots(settings.max_concurrent_requests, f"{SECTION}.max_concurrent_requests")
    for path, signal in signals.items():
        # A plain route: FastAPI's own would look for parameters to inject into every request.
        app.add_route(path, _Export(signal, pipeline, settings, tenants, budget, slots).respond, methods=["POST"])

    async def no_route(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 405:
            refusal = _wrong_method(request, (error.headers or {}).get("Allow", "POST"))
            pipeline.refused(signals.get(request.url.path, EVENTS), refusal.reason)
        else:
            refusal = _wrong_path(request)
        return _failed(refusal, _answer_type(request), dict(error.headers or {}))

    app.add_exception_handler(HTTPException, no_route)
    return app


class _Export:
    """Handles the POST requests of one signal."""

    def __init__(
        self,
        signal: Signal,
        pipeline: Intake,
        settings: OtlpHttpSettings,
        tenants: TenantResolver,
        budget: IntakeBudget,
        slots: RequestSlots,
    ) -> None:
        self._signal = signal
        self._pipeline = pipeline
        self._settings = settings
        self._tenants = tenants
        self._budget = budget
        self._slots = slots

    async def respond(self, request: Request) -> Response:
        return await answered(self._export(request), request, self._pipeline, self._signal)

    async def _export(self, request: Request) -> Response:
        media_type = _media_type(request.headers.get("content-type", ""))
        with self._slots:
            body = await self._protobuf(request, media_type)
            tenant = self._tenants.resolve(request.headers)
            acknowledgement = await self._pipeline.submit(self._signal, tenant, body)
        return Response(otlp_response.success(self._signal, acknowledgement, media_type), media_type=media_type)

    async def _protobuf(self, request: Request, media_type: str) -> bytes:
        with self._budget.lease() as lease:
            body = await read_body(request, self._settings, lease)
            if media_type == JSON:
                lease.grow(len(body))
                body = await decode(len(body), otlp_json.to_protobuf, self._signal, body)
            return body


async def answered(work: Awaitable[Response], request: Request, pipeline: Intake, signal: str) -> Response:
    """The response of `work`, or the one to its failure; a receiver's own refusal is counted for `signal`."""
    try:
        return await work
    except ClientDisconnect:
        return Response(status_code=499)  # nobody reads it
    except asyncio.CancelledError:
        # uvicorn cancels only what outlives the grace period of a shutdown.
        error: Exception = Unavailable("The hub is stopping. Send the request again.", _RESTART_SECONDS)
    except Exception as caught:
        error = caught
    if isinstance(error, Refused):
        pipeline.refused(signal, error.reason)
    return _failed(error, _answer_type(request))


async def read_body(request: Request, settings: OtlpHttpSettings, lease: Lease) -> bytes:
    """The body within the limits of `settings` and of `lease`, without its Content-Encoding. Raises Refused."""
    body = await _read(request, settings, lease)
    encoding = request.headers.get("content-encoding", "")
    if not encoding and (found := next((name for magic, name in _MAGIC.items() if body.startswith(magic)), "")):
        raise Refused(
            Refusal.BAD_ENCODING,
            f"The body is compressed with {found}, and no header says so. Send Content-Encoding: {found} with it.",
        )
    return await decode(len(body), inflate, body, encoding, settings.max_body_bytes, _LIMIT_SETTING)


async def _read(request: Request, settings: OtlpHttpSettings, lease: Lease) -> bytes:
    limit, seconds = settings.max_body_bytes, settings.body_timeout_seconds
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise too_large("as sent", limit, _LIMIT_SETTING)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                lease.grow(len(chunk))
                body += chunk
                if len(body) > limit:
                    raise too_large("as sent", limit, _LIMIT_SETTING)
    except TimeoutError:
        message = (
            f"The body did not arrive within {seconds:g} s, the limit of {SECTION}.body_timeout_seconds. Send it again."
        )
        raise Refused(Refusal.BODY_TIMEOUT, message) from None
    return bytes(body)


def _media_type(content_type: str) -> str:
    media_type, charset = parse_content_type(content_type)
    if media_type not in (PROTOBUF, JSON):
        given = f"Content-Type {content_type!r}" if content_type else "A request without Content-Type"
        raise Refused(
            Refusal.UNSUPPORTED_MEDIA_TYPE,
            f"{given} is not supported. Send {PROTOBUF} or {JSON}, and name it in Content-Type.",
        )
    if media_type == JSON and charset not in CHARSETS:
        raise Refused(Refusal.UNSUPPORTED_MEDIA_TYPE, f"The charset {charset!r} is not supported. Send JSON in utf-8.")
    return media_type


def parse_content_type(content_type: str) -> tuple[str, str]:
    """Media type and charset, in lower case; '' for what is not there."""
    media_type, *parameters = content_type.split(";")
    named = dict(parameter.strip().lower().partition("=")[::2] for parameter in parameters)
    return media_type.strip().lower(), named.get("charset", "").strip('"')


def _answer_type(request: Request) -> str:
    """Errors come back in the sender's encoding, in JSON when that is unknown."""
    media_type, _ = parse_content_type(request.headers.get("content-type", ""))
    return PROTOBUF if media_type == PROTOBUF else JSON


def _failed(error: Exception, media_type: str, headers: Mapping[str, str] = MappingProxyType({})) -> Response:
    if not otlp_response.is_expected(error):
        log.error("an export failed unexpectedly", exc_info=error)
    failure = otlp_response.failure(error)
    all_headers = {**headers, **failure.http_headers()}
    if isinstance(error, Refused):
        all_headers |= _HINTS.get(error.reason, {})
    body = otlp_response.encode(failure.status, media_type)
    return Response(body, failure.http_code, all_headers, media_type)


def _wrong_method(request: Request, allowed: str) -> Refused:
    return Refused(
        Refusal.METHOD_NOT_ALLOWED,
        f"{request.url.path} takes {allowed}, not {request.method}. Send a {allowed.partition(',')[0]}.",
    )


def _wrong_path(request: Request) -> Refused:
    return Refused(
        Refusal.NOT_FOUND,
        f"There is nothing at {request.url.path}. Exports go to /v1/traces, /v1/logs and /v1/metrics, plain JSON to /v1/events: set "
        "OTEL_EXPORTER_OTLP_ENDPOINT to this address without a path, or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT "
        "and its siblings to the full URL.",
    )
