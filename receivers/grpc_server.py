"""gRPC calls as ASGI on a socket: HTTP/2 by h2corn, on the running event loop.

h2corn limits neither the size nor the time of a gRPC message; the application must.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import h2corn

from receivers.grpc_message import Receive, Send, send_not_grpc
from receivers.listener import ListenError, TlsFiles, join_address, open_socket
from receivers.native_log import h2corn_logged

App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

# Bytes that a connection may have sent and that no call has read yet.
_WINDOW_BYTES = 1 << 20
# An exporter keeps one call under way for every batch that waits for its commit.
_CALLS_A_CONNECTION = 2048
_HEADER_BYTES = 64 * 1024
_LAST_WORDS_SECONDS = 1.0


class GrpcServer:
    """Started once, stopped once or more. A call whose caller goes away is cancelled."""

    def __init__(
        self,
        app: App,
        listen: str,
        setting: str,
        tls: TlsFiles | None,
        *,
        max_connections: int,
        share_port: bool,
    ) -> None:
        self._app = app
        self._listen = listen
        self._setting = setting
        self._tls = tls
        self._max_connections = max_connections
        self._share_port = share_port
        self._calls: set[asyncio.Task[Any]] = set()
        self._server: h2corn.Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Listen; returns the bound 'host:port'. Raises ListenError, which names the setting."""
        sock = open_socket(self._listen, self._setting, share_port=self._share_port)
        try:
            host, port = sock.getsockname()[:2]
            self._server = h2corn.Server(self._call, self._config(sock.fileno()))
            with h2corn_logged():
                self._serving = asyncio.create_task(self._server.serve())
                await self._server.wait_started()
        except (ValueError, RuntimeError, OSError) as error:
            raise ListenError(
                f"{self._setting}: cannot listen on {self._listen}: {error}. Check the address and the TLS files."
            ) from error
        finally:
            sock.close()  # the server has its own copy
        return join_address(host, port)

    async def stop(self, grace: float) -> None:
        """Give calls in flight `grace` seconds, then cancel them, and close."""
        if self._server is None or self._serving is None:
            return
        await self._drain(grace)
        self._server.shutdown()
        await asyncio.wait([self._serving])

    async def _drain(self, grace: float) -> None:
        late = set(self._calls)
        if late:
            _, late = await asyncio.wait(late, timeout=grace)
        for call in late:
            call.cancel()
        if late:
            await asyncio.wait(late, timeout=_LAST_WORDS_SECONDS)

    async def _call(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if not _is_grpc(scope):
            await send_not_grpc(send)
            return
        task = asyncio.current_task()
        assert task is not None
        self._calls.add(task)
        try:
            await self._app(scope, receive, send)
        finally:
            self._calls.discard(task)

    def _config(self, fd: int) -> h2corn.Config:
        return h2corn.Config(
            bind=(f"fd://{fd}",),
            grpc=True,
            http1=False,
            lifespan="off",
            access_log=False,
            log_format="json",
            date_header=False,
            runtime_threads=1,
            certfile=Path(self._tls.cert_file) if self._tls else None,
            keyfile=Path(self._tls.key_file) if self._tls else None,
            limit_connections=self._max_connections,
            max_concurrent_streams=_CALLS_A_CONNECTION,
            h2_initial_stream_window_size=_WINDOW_BYTES,
            h2_initial_connection_window_size=_WINDOW_BYTES,
            h2_max_header_list_size=_HEADER_BYTES,
            h2_max_header_block_size=_HEADER_BYTES,
            timeout_graceful_shutdown=_LAST_WORDS_SECONDS,
        )


def _is_grpc(scope: MutableMapping[str, Any]) -> bool:
    return any(key == b"content-type" and value.startswith(b"application/grpc") for key, value in scope["headers"])
