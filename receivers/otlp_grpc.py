"""OTLP over gRPC. Requests are never deserialised: bytes in, bytes out.

Spec: https://opentelemetry.io/docs/specs/otlp/#otlpgrpc
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from collector.errors import InvalidRequest, Unavailable
from collector.pipeline import Signal
from receivers import otlp_response
from receivers.grpc_message import Disconnected, Receive, Send, read_message, send_failure, send_message
from receivers.grpc_server import GrpcServer
from receivers.intake import Intake, Refusal, Refused, SingleTenant, TenantResolver
from receivers.intake_budget import IntakeBudget, RequestSlots
from receivers.listener import tls_files

log = logging.getLogger(__name__)

SECTION = "receivers.otlp_grpc"
SERVICES = {
    Signal.TRACES: "opentelemetry.proto.collector.trace.v1.TraceService",
    Signal.LOGS: "opentelemetry.proto.collector.logs.v1.LogsService",
    Signal.METRICS: "opentelemetry.proto.collector.metrics.v1.MetricsService",
}
_EXPORTS = {f"/{service}/Export": signal for signal, service in SERVICES.items()}
_HEALTH_CHECK = "/grpc.health.v1.Health/Check"
_LIMIT_SETTING = f"{SECTION}.max_message_bytes"
_RESTART_SECONDS = 5.0


@dataclass(frozen=True)
class OtlpGrpcSettings:
    """`max_message_bytes` counts a request after decompression; `message_timeout_seconds` is the seconds a sender
    has to deliver it. TLS is on when both files are set."""

    listen: str = "127.0.0.1:4317"
    max_message_bytes: int = 20 * 1024 * 1024
    max_concurrent_requests: int = 10_000
    max_connections: int = 1000
    message_timeout_seconds: float = 30.0
    tls_cert_file: str = ""
    tls_key_file: str = ""


class OtlpGrpcReceiver:
    """Serves the three OTLP services and grpc.health.v1 on the running event loop. May be stopped twice."""

    def __init__(
        self,
        pipeline: Intake,
        settings: OtlpGrpcSettings,
        tenants: TenantResolver | None = None,
        budget: IntakeBudget | None = None,
        *,
        share_port: bool = False,
    ) -> None:
        self._pipeline = pipeline
        self._settings = settings
        self._tenants = tenants or SingleTenant()
        self._budget = budget or IntakeBudget()
        self._slots = RequestSlots(settings.max_concurrent_requests, f"{SECTION}.max_concurrent_requests")
        self._share_port = share_port
        self._stopping = False
        self._server: GrpcServer | None = None

    async def start(self) -> str:
        """Listen; returns the bound 'host:port'. Raises ListenError, which names the setting."""
        settings = self._settings
        self._server = GrpcServer(
            self._call,
            settings.listen,
            f"{SECTION}.listen",
            tls_files(settings.tls_cert_file, settings.tls_key_file, SECTION),
            max_connections=settings.max_connections,
            share_port=self._share_port,
        )
        return await self._server.start()

    async def stop(self, grace: float) -> None:
        """Refuse new exports at once, give those in flight `grace` seconds, then tell their senders to come again."""
        self._stopping = True
        if self._server is not None:
            await self._server.stop(grace)

    async def _call(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        signal = _EXPORTS.get(scope["path"])
        try:
            answer = await (self._other(scope, receive) if signal is None else self._export(signal, scope, receive))
        except Disconnected:
            return
        except asyncio.CancelledError:
            if not self._stopping:  # the sender has gone
                raise
            await send_failure(send, otlp_response.failure(_stopping()))
        except Exception as error:
            await self._fail(signal, error, send)
        else:
            await send_message(send, answer)

    async def _export(self, signal: Signal, scope: MutableMapping[str, Any], receive: Receive) -> bytes:
        with self._slots:
            if self._stopping:
                raise _stopping()
            headers = _headers(scope["headers"])
            body = await self._read(receive, headers)
            acknowledgement = await self._pipeline.submit(signal, self._tenants.resolve(headers), body)
            return otlp_response.success(signal, acknowledgement)

    async def _read(self, receive: Receive, headers: dict[str, str]) -> bytes:
        settings = self._settings
        try:
            with self._budget.lease() as lease:
                async with asyncio.timeout(settings.message_timeout_seconds):
                    return await read_message(receive, headers, lease, settings.max_message_bytes, _LIMIT_SETTING)
        except TimeoutError:
            message = (
                f"The message did not arrive within {settings.message_timeout_seconds:g} s, the limit of "
                f"{SECTION}.message_timeout_seconds. Send it again."
            )
            raise Refused(Refusal.BODY_TIMEOUT, message) from None

    async def _other(self, scope: MutableMapping[str, Any], receive: Receive) -> bytes:
        if scope["path"] != _HEALTH_CHECK:
            raise _unknown(scope["path"])
        return self._health(await self._read(receive, _headers(scope["headers"])))

    def _health(self, body: bytes) -> bytes:
        try:
            service = HealthCheckRequest.FromString(body).service
        except DecodeError:
            raise InvalidRequest("The message is no grpc.health.v1.HealthCheckRequest. Send one.") from None
        if service and service not in SERVICES.values():
            response = HealthCheckResponse(status=HealthCheckResponse.SERVICE_UNKNOWN)
        elif self._stopping:
            response = HealthCheckResponse(status=HealthCheckResponse.NOT_SERVING)
        else:
            response = HealthCheckResponse(status=HealthCheckResponse.SERVING)
        return bytes(response.SerializeToString())

    async def _fail(self, signal: Signal | None, error: Exception, send: Send) -> None:
        if signal is not None and isinstance(error, Refused):
            self._pipeline.refused(signal, error.reason)
        if not otlp_response.is_expected(error):
            log.error("an export failed unexpectedly", exc_info=error)
        await send_failure(send, otlp_response.failure(error))


def _stopping() -> Unavailable:
    return Unavailable("The hub is stopping. Send the request again.", _RESTART_SECONDS)


def _unknown(method: str) -> Refused:
    services = ", ".join(service.rpartition(".")[2] for service in SERVICES.values())
    return Refused(
        Refusal.NOT_FOUND,
        f"There is no {method} here. This port serves Export of {services} (OTLP v1), and Check of grpc.health.v1.",
    )


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {key.decode("latin-1"): value.decode("latin-1") for key, value in pairs if not key.endswith(b"-bin")}
