"""Model providers as far as their SDKs can tell, and the OTLP endpoint that keeps what the SDKs export.

The first part of the path is the provider: /openai/v1, /mistral/v1, /anthropic, /gemini, /bedrock, /cohere, /ollama, /groq/openai/v1, /together/v1.
A word with # in the last message asks for a special answer: #429, #401, #404, #500, #529, #400-context, #400-filter,
#filter, #length, #reset, #cut, #slow. With tools on offer and no tool's result in the messages the answer is a tool call.
"""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.recorders import anthropic_api, bedrock_api, cohere_api, gemini_api, ollama_api, openai_api, qdrant_api
from tests.recorders.answers import Answer, Failure, Request
from tests.recorders.ledger import Ledger

PROVIDERS = {"mistral": "mistral_ai", "gemini": "gcp.gemini", "vertex": "gcp.vertex_ai", "bedrock": "aws.bedrock"}
ROUTES: tuple[tuple[str, Callable[[Request], Answer]], ...] = (
    (r"/chat/completions$", openai_api.chat),
    (r"^/cohere/v[12]/chat$", cohere_api.chat),
    (r"^/cohere/v[12]/embed$", cohere_api.embed),
    (r"^/cohere/v[12]/rerank$", cohere_api.rerank),
    (r"^/ollama/api/chat$", ollama_api.chat),
    (r"^/ollama/api/generate$", ollama_api.generate),
    (r"^/ollama/api/embed(?:dings)?$", ollama_api.embed),
    (r"^/qdrant/collections/[^/]+/points/search$", qdrant_api.search),
    (r"/responses$", openai_api.responses),
    (r"/embeddings$", openai_api.embeddings),
    (r"/v1/messages$", anthropic_api.messages),
    (r"/model/(?P<model>[^/]+)/(?P<method>converse|converse-stream)$", bedrock_api.converse),
    (r"/model/(?P<model>[^/]+)/(?P<method>invoke|invoke-with-response-stream)$", bedrock_api.invoke),
    (r"/models/(?P<model>[^/:]+):(?P<method>generateContent|streamGenerateContent)$", gemini_api.generate),
)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = self._body()
        path = self.path.split("?")[0].replace("%3A", ":")
        if path.startswith("/otlp/"):
            self.server.exports.append((path.rsplit("/", 1)[1], body))
            self._send(200, "application/x-protobuf", b"")
            return
        provider = path.split("/")[1]
        if self.headers.get("x-stainless-retry-count", "0") != "0":
            self.server.ledger.retried()
        for pattern, answer in ROUTES:
            if found := re.search(pattern, path):
                request = Request(
                    PROVIDERS.get(provider, provider), json.loads(body), found.groupdict(), self.server.ledger
                )
                self._answer(request, answer)
                return
        self._send(404, "application/json", b'{"error": {"message": "no such path"}}')

    def do_GET(self) -> None:
        self._send(404, "application/json", b"{}")

    def _answer(self, request: Request, answer: Callable[[Request], Answer]) -> None:
        try:
            result = answer(request)
        except Failure as failure:
            self._send(failure.status, "application/json", json.dumps(failure.body).encode(), failure.headers)
            return
        if request.wants("slow") or request.wants("reset"):
            time.sleep(2 if request.wants("slow") else 0)
            self.close_connection = True
            self.connection.close()
            return
        if isinstance(result.body, bytes):
            self._send(200, result.content_type, result.body)
        else:
            self._stream(result.content_type, result.body, cut=request.wants("cut"))

    def _stream(self, content_type: str, chunks: Iterator[bytes], *, cut: bool) -> None:
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number, chunk in enumerate(chunks):
            if cut and number == 3:
                self.close_connection = True
                return
            time.sleep(0.01)  # so that the time to the first token is not 0
            self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
        return gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body

    def _send(self, status: int, content_type: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"content-type": content_type, "content-length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """`exports` are (signal, request bytes) in the order of arrival."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.begin()

    def begin(self) -> None:
        """Forget what came before."""
        self.ledger = Ledger()
        self.exports: list[tuple[str, bytes]] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that went away

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"
