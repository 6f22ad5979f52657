"""The live tail over a WebSocket: GET /v1/tail, one JSON object a message."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from receivers.tail import Tail, TailSettings, TooManyViewers, Viewer
from receivers.tail_filter import BadFilter, Filter


def tail_routes(tail: Tail, settings: TailSettings) -> list[BaseRoute]:
    """Refuses with an HTTP status and a sentence: 403 not allowed, 400 no such filter, 429 too many viewers."""

    async def watch(socket: WebSocket) -> None:
        problem = _not_allowed(socket.headers.get("origin"), settings)
        if problem:
            await socket.send_denial_response(PlainTextResponse(problem, 403))
            return
        try:
            with tail.watch(Filter.parse(socket.query_params.multi_items())) as viewer:
                await socket.accept()
                await _stream(socket, viewer)
        except BadFilter as error:
            await socket.send_denial_response(PlainTextResponse(str(error), 400))
        except TooManyViewers as error:
            await socket.send_denial_response(PlainTextResponse(str(error), 429))

    return [WebSocketRoute("/v1/tail", watch), Route("/v1/tail", _no_socket)]


async def _no_socket(request: Request) -> PlainTextResponse:
    text = "This is a WebSocket: use `llmhub tail`, or a WebSocket client at ws://...\n"
    return PlainTextResponse(text, 426, {"Upgrade": "websocket"})


def _not_allowed(origin: str | None, settings: TailSettings) -> str:
    if not settings.enabled:
        return "The live tail is off. Set api.tail.enabled to true; whoever reaches api.listen can watch then."
    # Browsers let any page open a WebSocket to any address, and say in this header whose page it is. The hub has no
    # pages, so not even an origin equal to Host is one of its own: a name that an attacker points here looks like that.
    if origin is not None and origin not in settings.allowed_origins:
        return f"Pages of {origin[:200]} may not watch. Add the origin to api.tail.allowed_origins if they should."
    return ""


async def _stream(socket: WebSocket, viewer: Viewer) -> None:
    sending = asyncio.create_task(_send(socket, viewer))
    leaving = asyncio.create_task(_disconnected(socket))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, leaving):
            task.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)


async def _send(socket: WebSocket, viewer: Viewer) -> None:
    """Waits while the viewer does not read, and its buffer fills."""
    while True:
        await socket.send_text(await viewer.next())
        # A viewer that reads fast would otherwise keep the event loop for as long as there is something to send.
        await asyncio.sleep(0)


async def _disconnected(socket: WebSocket) -> None:
    """What a viewer says is not listened to, only that it goes."""
    try:
        while True:
            await socket.receive_text()
    except (WebSocketDisconnect, KeyError):
        return
