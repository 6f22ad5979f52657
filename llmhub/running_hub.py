"""A hub that runs on this machine, found where the configuration says that it listens."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import urllib3
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector.errors import HubError, InvalidRequest, Overloaded, Unavailable
from collector.pipeline import Acknowledgement, Signal
from receivers.listener import join_address, split_address
from receivers.otlp_http import SECTION, OtlpHttpSettings
from receivers.otlp_response import PROTOBUF

_TIMEOUT_SECONDS = 60.0
_RETRY_SECONDS = 1.0
_RESPONSES: dict[Signal, tuple[Any, str]] = {
    Signal.TRACES: (ExportTraceServiceResponse, "rejected_spans"),
    Signal.LOGS: (ExportLogsServiceResponse, "rejected_log_records"),
    Signal.METRICS: (ExportMetricsServiceResponse, "rejected_data_points"),
}


def reachable(listen: str, setting: str) -> str:
    """The address to connect to for one to listen at: 0.0.0.0 and [::] mean every address, loopback among them."""
    host, port = split_address(listen, setting)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return listen
    if address.is_unspecified:
        host = "127.0.0.1" if address.version == 4 else "::1"
    return join_address(host, int(port))


class RunningHub:
    """Submits exports to a hub's OTLP/HTTP port, `in_flight` of them at a time. A context manager."""

    def __init__(self, settings: OtlpHttpSettings, in_flight: int) -> None:
        scheme = "https" if settings.tls_cert_file else "http"
        self._url = f"{scheme}://{reachable(settings.listen, f'{SECTION}.listen')}"
        context = _trusting(settings.tls_cert_file) if settings.tls_cert_file else None
        self._http = urllib3.PoolManager(
            maxsize=in_flight, retries=False, timeout=_TIMEOUT_SECONDS, ssl_context=context, assert_hostname=False
        )
        self._threads = ThreadPoolExecutor(in_flight, thread_name_prefix="send")

    def __enter__(self) -> RunningHub:
        return self

    def __exit__(self, *error: object) -> None:
        self._threads.shutdown()
        self._http.clear()

    async def submit(self, signal: Signal, tenant: str, body: bytes, *, until_stored: bool = False) -> Acknowledgement:
        """As receivers.intake.Intake has it; the hub decides by itself whose data it is."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._post, signal, body)

    def _post(self, signal: Signal, body: bytes) -> Acknowledgement:
        headers = {"Content-Type": PROTOBUF}
        try:
            answer = self._http.request("POST", f"{self._url}/v1/{signal}", body=body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(
                f"A running hub holds the store, but none answers at {self._url}: {error}. Use the configuration of "
                f"that hub ({SECTION}.listen), or stop it.",
                _RETRY_SECONDS,
            ) from None
        if answer.status != HTTPStatus.OK:
            raise _failure(answer)
        kind, rejected = _RESPONSES[signal]
        partial: Any = kind.FromString(answer.data).partial_success
        return Acknowledgement(getattr(partial, rejected), partial.error_message)


def _failure(answer: urllib3.BaseHTTPResponse) -> HubError:
    try:
        message = str(Status.FromString(answer.data).message)
    except DecodeError:
        message = f"HTTP {answer.status}, which is no answer of a hub."
    retry = answer.headers.get("Retry-After", "")
    seconds = float(retry) if retry.isdecimal() else _RETRY_SECONDS
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Overloaded(message, seconds)
    if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return Unavailable(message, seconds)
    return InvalidRequest(message)


def _trusting(cert_file: str) -> ssl.SSLContext:
    """Trusts the hub's own certificate, whatever name it is for: the file is the hub's and this command's."""
    context = ssl.create_default_context(cafile=cert_file)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
