"""The unmodified OpenTelemetry SDK for Node.js and its three trace exporters: gRPC, HTTP with JSON, HTTP with protobuf.

The packages are installed once, from the lock file, into the user's cache directory.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.errors import InvalidRequest, Overloaded
from collector.pipeline import Signal
from receivers.otlp_grpc import OtlpGrpcReceiver, OtlpGrpcSettings
from receivers.otlp_http import OtlpHttpReceiver, OtlpHttpSettings
from tests.receivers.recorder import Loop, Recorder, serving

SOURCE = Path(__file__).parent.parent / "clients" / "node"
FILES = ("package.json", "package-lock.json", "export.js")


@pytest.fixture(scope="session")
def node_client() -> Path:
    """The directory of export.js with its packages installed."""
    missing = [tool for tool in ("node", "npm") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed: the Node.js exporters are not tried")
    version = hashlib.sha256(b"".join((SOURCE / name).read_bytes() for name in FILES)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llm-analytics-hub-tests"
    target = cache / f"node-{version}"
    if not target.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        install(cache, target)
    return target


def install(cache: Path, target: Path) -> None:
    fresh = Path(tempfile.mkdtemp(dir=cache))
    for name in FILES:
        shutil.copy(SOURCE / name, fresh)
    npm = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=fresh,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert npm.returncode == 0, npm.stderr
    try:
        fresh.rename(target)
    except OSError:  # another run was faster
        shutil.rmtree(fresh)


def run_node(node_client: Path, transport: str, address: str, compression: str = "none") -> dict[str, Any]:
    url = f"http://{address}" if transport == "grpc" else f"http://{address}/v1/traces"
    command = ["node", "export.js", transport, url, compression]
    result = subprocess.run(command, cwd=node_client, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    outcome: dict[str, Any] = json.loads(result.stdout)
    return outcome


def receiver(transport: str, recorder: Recorder) -> OtlpGrpcReceiver | OtlpHttpReceiver:
    if transport == "grpc":
        return OtlpGrpcReceiver(recorder, OtlpGrpcSettings(listen="127.0.0.1:0"))
    return OtlpHttpReceiver(recorder, OtlpHttpSettings(listen="127.0.0.1:0"))


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("transport", ["grpc", "http", "proto"])
def test_a_span_arrives_with_its_values(
    node_client: Path, recorder: Recorder, loop: Loop, transport: str, compression: str
) -> None:
    with serving(receiver(transport, recorder), loop) as address:
        assert run_node(node_client, transport, address, compression) == {"code": 0, "error": ""}
    ((signal, _, body),) = recorder.submitted
    assert signal is Signal.TRACES
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    (span,) = resource.scope_spans[0].spans
    values = {a.key: a.value for a in span.attributes}
    assert (span.name, len(span.trace_id), len(span.span_id)) == ("chat", 16, 8)
    assert span.end_time_unix_nano >= span.start_time_unix_nano > 1_700_000_000 * 10**9
    assert "checkout-node" in {a.value.string_value for a in resource.resource.attributes}
    assert values["gen_ai.request.model"].string_value == "gpt-4o-mini"
    assert values["gen_ai.usage.input_tokens"].WhichOneof("value") == "int_value"
    assert values["gen_ai.request.temperature"].double_value == 0.5
    assert values["gen_ai.request.stream"].WhichOneof("value") == "bool_value"
    assert [v.string_value for v in values["gen_ai.response.finish_reasons"].array_value.values] == ["stop", "length"]


@pytest.mark.parametrize("transport", ["grpc", "http", "proto"])
def test_bad_data_fails_and_is_not_sent_again(
    node_client: Path, recorder: Recorder, loop: Loop, transport: str
) -> None:
    recorder.answer = InvalidRequest("The request is cut off.")
    with serving(receiver(transport, recorder), loop) as address:
        assert run_node(node_client, transport, address)["code"] == 1
    assert len(recorder.submitted) == 1


@pytest.mark.parametrize("transport", ["http", "proto"])
def test_an_export_is_sent_again_when_the_hub_was_busy(
    node_client: Path, recorder: Recorder, loop: Loop, transport: str
) -> None:
    recorder.failures = [Overloaded("The spool is full.", 1)]
    with serving(receiver(transport, recorder), loop) as address:
        assert run_node(node_client, transport, address)["code"] == 0
    assert len(recorder.submitted) == 2
