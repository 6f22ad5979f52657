"""An ASGI app on a socket, served by uvicorn on the running event loop."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import Any

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from receivers.http_connection import HttpConnection
from receivers.listener import TlsFiles, join_address, open_socket
from receivers.rate_limited_log import RateLimitedLog

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 1000
_LAST_WORDS_SECONDS = 1.0
# How often a viewer is asked for a sign of life, and how long it has for it.
_PING_SECONDS = 20.0


class HttpServer:
    """Started once, stopped once or more. Signals stay with the process; nothing is logged per request."""

    def __init__(
        self,
        app: Any,
        listen: str,
        setting: str,
        tls: TlsFiles | None = None,
        *,
        websockets: bool = False,
        share_port: bool = False,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        connection = partial(
            HttpConnection, setting=setting, max_connections=max_connections, warnings=RateLimitedLog(log)
        )
        self._share_port = share_port
        self._listen = listen
        self._setting = setting
        self._server = _Server(
            uvicorn.Config(
                app,
                lifespan="auto",
                http=connection,  # type: ignore[arg-type]
                ws=_WebSocket if websockets else "none",
                ws_per_message_deflate=False,
                ws_max_size=4096,
                ws_ping_interval=_PING_SECONDS,
                ws_ping_timeout=_PING_SECONDS,
                log_config=None,
                access_log=False,
                server_header=False,
                ssl_certfile=tls.cert_file if tls else None,
                ssl_keyfile=tls.key_file if tls else None,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Listen; returns the bound 'host:port'. Raises ListenError, which names the setting."""
        sock = open_socket(self._listen, self._setting, share_port=self._share_port)
        host, port = sock.getsockname()[:2]
        await self.serve(sock)
        return join_address(host, port)

    async def serve(self, sock: socket.socket) -> None:
        """Take connections from a socket that listens already, of whatever kind."""
        self._serving = asyncio.create_task(self._server.serve(sockets=[sock]))
        await self._server.wait_accepting(self._serving)

    async def stop(self, grace: float) -> None:
        """Take no new connections, give requests in flight `grace` seconds, then cancel them."""
        if self._serving is None:
            return
        # Typed as int, used as the timeout of asyncio.wait_for.
        self._server.config.timeout_graceful_shutdown = grace  # type: ignore[assignment]
        self._server.should_exit = True
        await self._serving


class _WebSocket(WebSocketsSansIOProtocol):
    """Neither a stop nor the end of its patience waits for a client that does not read what was sent to it."""

    def shutdown(self) -> None:
        super().shutdown()
        self.loop.call_later(_LAST_WORDS_SECONDS, self.transport.abort)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.loop.call_later(_LAST_WORDS_SECONDS, self.transport.abort)


class _Server(uvicorn.Server):
    """A uvicorn server that leaves the signals to its process and says when it accepts connections."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._accepting = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._accepting.set()

    async def wait_accepting(self, serving: asyncio.Task[None]) -> None:
        accepting = asyncio.create_task(self._accepting.wait())
        await asyncio.wait({accepting, serving}, return_when=asyncio.FIRST_COMPLETED)
        accepting.cancel()
        if serving.done():
            serving.result()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        # What outlived the grace period has just been cancelled; let it tell its sender.
        if self.server_state.tasks:
            await asyncio.wait(set(self.server_state.tasks), timeout=_LAST_WORDS_SECONDS)
