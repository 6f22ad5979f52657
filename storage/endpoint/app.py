"""The ASGI application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from storage.embedded import EmbeddedStore
from storage.endpoint import encoding, request
from storage.endpoint.execute import Engine, Executor
from storage.endpoint.responses import Wish, failure, success
from storage.endpoint.settings import EndpointSettings, EndpointUser
from storage.store import StoreError


def clickhouse_app(store: EmbeddedStore, settings: EndpointSettings) -> Starlette:
    """ClickHouse's HTTP interface over `store`, under any path prefix. Asks the store a question first: blocking."""
    endpoint = _Endpoint(store, settings)
    route = Route("/{path:path}", endpoint.handle, methods=["GET", "HEAD", "POST"])
    return Starlette(routes=[route], lifespan=endpoint.lifespan)


class _Endpoint:
    def __init__(self, store: EmbeddedStore, settings: EndpointSettings) -> None:
        self._settings = settings
        self._engine = Engine.ask(store, settings.display_name)
        self._executor = Executor(store, self._engine)
        self._threads = ThreadPoolExecutor(settings.max_concurrency, thread_name_prefix="clickhouse-http")
        self._places = asyncio.Semaphore(settings.max_concurrency)
        self._waiting = 0

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        self._threads.shutdown(wait=True)

    async def handle(self, http: Request) -> Response:
        last = http.url.path.rsplit("/", 1)[-1]
        if last in ("ping", "replicas_status") or (http.method in ("GET", "HEAD") and "query" not in http.query_params):
            return PlainTextResponse("Ok.\n")
        url = dict(http.query_params)
        wish = _wish(url, http.headers)
        query_id = request.query_id(url)
        try:
            return await self._answer(http, url, wish, query_id)
        except StoreError as error:
            return failure(error, wish, self._engine, query_id)
        except ClientDisconnect:
            return Response(status_code=400)

    async def _answer(self, http: Request, url: Mapping[str, str], wish: Wish, query_id: str) -> Response:
        user = self._user(url, http.headers)
        limit = self._settings.max_body_bytes
        async with self._place():
            body = await _body(http, limit, self._settings.max_body_seconds)
            headers = dict(http.headers)

            def work() -> Response:
                started = time.monotonic_ns()
                call = request.parse(http.method, url, headers, body, limit)
                result = self._executor.run(user, call)
                return success(result, wish, self._engine, query_id, time.monotonic_ns() - started)

            return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _user(self, url: Mapping[str, str], headers: Mapping[str, str]) -> EndpointUser:
        given = request.credentials(url, headers)
        name, password = given or ("default", "")
        user = self._settings.authenticate(name, password)
        if user is None and given is None:
            reason = "a user and a password are required."
            raise StoreError.clickhouse(194, "REQUIRED_PASSWORD", f"Authentication failed: {reason}")
        if user is None:
            reason = "password is incorrect, or there is no user with such name."
            raise StoreError.clickhouse(516, "AUTHENTICATION_FAILED", f"{name}: Authentication failed: {reason}")
        return user

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """One of the bounded places in which a request is read and run; bounded waiting for it, too."""
        if self._waiting >= self._settings.max_waiting:
            raise _too_many(f"{self._waiting} requests are waiting")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._settings.max_wait_seconds):
                await self._places.acquire()
        except TimeoutError:
            raise _too_many(f"waited {self._settings.max_wait_seconds:g} s") from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()


async def _body(http: Request, limit: int, seconds: float) -> bytes:
    announced = http.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in http.stream():
                body += chunk
                if len(body) > limit:
                    raise _too_large(limit)
    except TimeoutError:
        raise StoreError.clickhouse(209, "SOCKET_TIMEOUT", f"The request took longer than {seconds:g} s.") from None
    return bytes(body)


def _wish(url: Mapping[str, str], headers: Mapping[str, str]) -> Wish:
    asked = url.get("enable_http_compression", "")
    accepted = "" if asked == "0" else encoding.choose(headers.get("accept-encoding", ""))
    return Wish(framed=url.get("compress") == "1", encoding=accepted, always_encode=asked == "1")


def _too_large(limit: int) -> StoreError:
    return StoreError.clickhouse(307, "TOO_MANY_BYTES", f"The request is larger than max_body_bytes = {limit}.")


def _too_many(reason: str) -> StoreError:
    return StoreError.clickhouse(202, "TOO_MANY_SIMULTANEOUS_QUERIES", f"Too many simultaneous queries: {reason}.")
