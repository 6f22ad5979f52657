from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest
import urllib3
import uvicorn
from starlette.applications import Starlette

from storage.embedded import EmbeddedStore
from storage.endpoint import EndpointSettings, EndpointUser, clickhouse_app


@dataclass(frozen=True)
class Endpoint:
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, sql: str, user: str = "reader", **params: str) -> urllib3.BaseHTTPResponse:
        return self.send("GET", user=user, params={"query": sql, **params})

    def post(self, body: bytes | str, user: str = "reader", **params: str) -> urllib3.BaseHTTPResponse:
        return self.send("POST", body, user=user, params=params)

    def send(
        self,
        method: str,
        body: bytes | str = b"",
        *,
        user: str = "reader",
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """The response as it came: `data` is not decompressed."""
        basic = urllib3.make_headers(basic_auth=f"{user}:{user}") if user else {}
        url = f"{self.url}/?{urlencode(params or {})}"
        pool = urllib3.PoolManager(retries=False)
        return pool.request(method, url, body=body, headers={**basic, **(headers or {})}, decode_content=False)


@contextmanager
def serve(app: Starlette) -> Iterator[Endpoint]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield Endpoint(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def endpoint(store: EmbeddedStore) -> Iterator[Endpoint]:
    """The endpoint with a user who may read and one who may write; each one's password is the name."""
    users = (EndpointUser("reader", "reader"), EndpointUser("writer", "writer", readonly=False))
    with serve(clickhouse_app(store, EndpointSettings(users=users))) as running:
        yield running


@pytest.fixture
def table(store: EmbeddedStore) -> Iterator[Callable[[str], str]]:
    """Makes tables in the store's database that are gone after the test."""
    made: list[str] = []

    def make(columns: str) -> str:
        name = f"test_table_{time.monotonic_ns()}"
        store.execute(f"CREATE TABLE {name} ({columns}) ENGINE = MergeTree ORDER BY tuple()")
        made.append(name)
        return name

    yield make
    for name in made:
        store.execute(f"DROP TABLE IF EXISTS {name}")
