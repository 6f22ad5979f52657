"""OTLP over gRPC. Requests are never deserialised: bytes in, bytes out.

Spec: https://opentelemetry.io/docs/specs/otlp/#otlpgrpc
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from collector.pipeline import Signal
from receivers import otlp_response
from receivers.intake import Intake, Refusal, Refused, SingleTenant, TenantResolver
from receivers.listener import ListenError, join_address, open_socket, split_address, tls_files

log = logging.getLogger(__name__)

SECTION = "receivers.otlp_grpc"
SERVICES = {
    Signal.TRACES: "opentelemetry.proto.collector.trace.v1.TraceService",
    Signal.LOGS: "opentelemetry.proto.collector.logs.v1.LogsService",
    Signal.METRICS: "opentelemetry.proto.collector.metrics.v1.MetricsService",
}
# gRPC itself refuses what is larger still, before or while inflating it, but its text knows no remedy.
_TRANSPORT_LIMIT_FACTOR = 2

Context = grpc.aio.ServicerContext[bytes, bytes]
Export = Callable[[bytes, Context], Awaitable[bytes]]


@dataclass(frozen=True)
class OtlpGrpcSettings:
    """`max_message_bytes` counts a request after decompression. TLS is on when both files are set."""

    listen: str = "127.0.0.1:4317"
    max_message_bytes: int = 20 * 1024 * 1024
    tls_cert_file: str = ""
    tls_key_file: str = ""


class OtlpGrpcReceiver:
    """Serves the three OTLP services and grpc.health.v1 on the running event loop. May be stopped twice."""

    def __init__(
        self,
        pipeline: Intake,
        settings: OtlpGrpcSettings,
        tenants: TenantResolver | None = None,
        *,
        share_port: bool = False,
    ) -> None:
        self._pipeline = pipeline
        self._settings = settings
        self._tenants = tenants or SingleTenant()
        self._share_port = share_port
        self._health = health.aio.HealthServicer()
        self._server: grpc.aio.Server | None = None

    async def start(self) -> str:
        """Listen; returns the bound 'host:port'. Raises ListenError, which names the setting."""
        server = grpc.aio.server(options=self._options())
        server.add_generic_rpc_handlers((_Services({s: self._export(s) for s in Signal}),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        address = self._bind(server)
        await server.start()
        for service in SERVICES.values():
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        self._server = server
        return address

    async def stop(self, grace: float) -> None:
        """Refuse new exports at once, give those in flight `grace` seconds, then cancel them."""
        if self._server is not None:
            await self._health.enter_graceful_shutdown()
            await self._server.stop(grace)

    def _options(self) -> list[tuple[str, int]]:
        return [
            ("grpc.max_receive_message_length", self._settings.max_message_bytes * _TRANSPORT_LIMIT_FACTOR),
            # With it, a second hub would share a busy port silently instead of failing to start.
            ("grpc.so_reuseport", int(self._share_port)),
        ]

    def _bind(self, server: grpc.aio.Server) -> str:
        settings, setting = self._settings, f"{SECTION}.listen"
        tls = tls_files(settings.tls_cert_file, settings.tls_key_file, SECTION)
        # gRPC does not say why it cannot bind; the socket does.
        open_socket(settings.listen, setting, share_port=self._share_port).close()
        try:
            if tls is None:
                port = server.add_insecure_port(settings.listen)
            else:
                pair = (Path(tls.key_file).read_bytes(), Path(tls.cert_file).read_bytes())
                port = server.add_secure_port(settings.listen, grpc.ssl_server_credentials([pair]))
        except RuntimeError as error:
            raise ListenError(
                f"{setting}: cannot listen on {settings.listen}: {error} Check the address and the TLS files."
            ) from error
        return join_address(split_address(settings.listen, setting)[0], port)

    def _export(self, signal: Signal) -> Export:
        pipeline, tenants, limit = self._pipeline, self._tenants, self._settings.max_message_bytes

        async def export(body: bytes, context: Context) -> bytes:
            try:
                if len(body) > limit:
                    raise _too_large(len(body), limit)
                acknowledgement = await pipeline.submit(signal, tenants.resolve(_headers(context)), body)
            except Exception as error:
                if isinstance(error, Refused):
                    pipeline.refused(signal, error.reason)
                await _abort(context, error)
            return otlp_response.success(signal, acknowledgement)

        return export


class _Services(grpc.GenericRpcHandler):
    """Routes the three Export methods; says what this port serves to a caller of any other."""

    def __init__(self, exports: Mapping[Signal, Export]) -> None:
        self._handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            f"/{SERVICES[signal]}/Export": grpc.unary_unary_rpc_method_handler(export)
            for signal, export in exports.items()
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        method = handler_call_details.method
        if method.startswith("/grpc.health.v1."):
            return None
        return self._handlers.get(method) or _unknown(method)


def _unknown(method: str) -> grpc.RpcMethodHandler[bytes, bytes]:
    async def refuse(body: bytes, context: Context) -> bytes:
        services = ", ".join(service.rpartition(".")[2] for service in SERVICES.values())
        message = f"There is no {method} here. This port serves Export of {services} (OTLP v1), and grpc.health.v1."
        await _abort(context, Refused(Refusal.NOT_FOUND, message))

    return grpc.unary_unary_rpc_method_handler(refuse)


async def _abort(context: Context, error: Exception) -> NoReturn:
    if not otlp_response.is_expected(error):
        log.error("an export failed unexpectedly", exc_info=error)
    failure = otlp_response.failure(error)
    await context.abort(failure.grpc_code, failure.status.message, failure.grpc_metadata())
    raise AssertionError("abort returned")


def _too_large(size: int, limit: int) -> Refused:
    return Refused(
        Refusal.TOO_LARGE,
        f"The request has {size} bytes, the limit is {limit}. Send fewer records a request "
        f"(OTEL_BSP_MAX_EXPORT_BATCH_SIZE), or raise {SECTION}.max_message_bytes.",
    )


def _headers(context: Context) -> dict[str, str]:
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
