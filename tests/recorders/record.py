"""Records what an SDK exports: `python -m tests.recorders.record PYTHON sdks/NAME.py [scenario...]`.

PYTHON is the interpreter (or node) of an environment where the SDK is installed. The script is run once for each of its
scenarios, against a provider of its own; what it exported and what the provider answered are written to
tests/storage/recordings/NAME.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.recorders.provider import Server

RECORDINGS = Path(__file__).parents[1] / "storage" / "recordings"
# Metrics repeat what spans say; the calls do not come from them.
SIGNALS: dict[str, tuple[type[ExportTraceServiceRequest] | type[ExportLogsServiceRequest], str]] = {
    "traces": (ExportTraceServiceRequest, "pb"),
    "logs": (ExportLogsServiceRequest, "logs.pb"),
}
OF_THE_MACHINE = re.compile(r"service\.version|host\.|process\.|os\.|service\.instance\.id|container\.")
PATHS = re.compile(r"/[\w./@-]*/(?:site-packages|node_modules|lib/python3\.\d+|sdks)/")
PACKAGES = re.compile(
    r"^(?:open(?:ai|telemetry-(?:sdk|instrumentation-(?!httpx|requests|urllib|threading|logging).*|util-genai))|openinference-.*|anthropic|"
    r"langchain(?:-openai|-core)?|langgraph|strands-agents|google-(?:adk|genai)|mcp|pydantic-ai(?:-slim)?|logfire|langfuse|litellm|openlit|"
    r"traceloop-sdk|smolagents|llama-index-(?:core|llms-openai)|crewai|semantic-kernel|haystack-ai|instructor|agento11y.*|openai-agents|"
    r"agent-framework-.*|agno|dspy|boto3|mistralai|groq|cohere(?:-ai)?|ollama|together(?:-ai)?|llamaindex|portkey-ai|chromadb|qdrant-client|lancedb|autogen-.*|ai|botocore|mlflow(?:-skinny)?|"
    r"genkit|langsmith|langfuse-.*|@(?:ai-sdk|traceloop|arizeai|langfuse|langchain|mastra|openai|anthropic-ai|genkit-ai|pydantic|aws-sdk|google-cloud|llamaindex)/.*|@opentelemetry/instrumentation-.+|"
    r"spring-(?:boot|ai-(?:openai|anthropic|client-chat))|micrometer-tracing-bridge-otel|langchain4j.*|openai-java|bedrockruntime|"
    r"opentelemetry-(?:openai-java|aws-sdk)-.*)$"
)


def main() -> None:
    interpreter, script = sys.argv[1], Path(sys.argv[2]).resolve()
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    folder = RECORDINGS / script.stem
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile("w+") as errors, subprocess.Popen(
        [interpreter, script, *sys.argv[3:]], env={**os.environ, **_environment(server.url)}, cwd=script.parent,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        for name, code in _scenarios(process):
            calls = [f"{call.status}{'s' if call.streaming else ''}" for call in server.ledger.calls]
            sizes = keep(server, folder, name)
            print(script.stem, name, *sizes, "calls", *calls, "" if sizes and code == "0" else "FAILED")
            errors.seek(0)
            if not sizes or code != "0":
                print(errors.read()[-1500:])
            errors.seek(0)
            errors.truncate()
            server.begin()
    write_manifest(script.stem, interpreter)


def _scenarios(process: subprocess.Popen[str]) -> Iterator[tuple[str, str]]:
    """Name and exit code of each scenario that has run. Other lines are what an SDK prints."""
    assert process.stdin is not None
    assert process.stdout is not None
    name = ""
    for line in process.stdout:
        word = line.strip()
        if not name and re.fullmatch(r"\w+", word):
            name = word
        elif name and re.fullmatch(r"-?\d+", word):
            yield name, word
            name = ""
        else:
            continue
        process.stdin.write("\n")
        process.stdin.flush()


def keep(server: Server, folder: Path, scenario: str) -> list[str]:
    """Write what came in; returns the sizes."""
    for ending in ("pb", "logs.pb", "truth.json"):
        (folder / f"{scenario}.{ending}").unlink(missing_ok=True)
    sizes = []
    for signal, (kind, ending) in SIGNALS.items():
        # Requests one after the other are one request with all they hold.
        if body := b"".join(body for name, body in server.exports if name == signal):
            whole = kind.FromString(body)
            clean(whole)
            (folder / f"{scenario}.{ending}").write_bytes(whole.SerializeToString())
            sizes.append(f"{ending}={whole.ByteSize()}")
    if sizes:
        (folder / f"{scenario}.truth.json").write_text(json.dumps(server.ledger.truth(), indent=1) + "\n")
    return sizes


def _environment(url: str) -> dict[str, str]:
    return {
        "PROVIDER_URL": url, "OPENAI_BASE_URL": f"{url}/openai/v1", "OPENAI_API_KEY": "sk-test",
        "ANTHROPIC_BASE_URL": f"{url}/anthropic", "ANTHROPIC_API_KEY": "sk-test",
        "AWS_ENDPOINT_URL": f"{url}/bedrock", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
        "GEMINI_API_KEY": "test", "GOOGLE_API_KEY": "test", "GOOGLE_GEMINI_BASE_URL": f"{url}/gemini",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{url}/otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_SERVICE_NAME": "assistant", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        "OTEL_METRICS_EXPORTER": "none", "PYTHONPATH": "", "PYTHONWARNINGS": "ignore",
    }  # fmt: skip


def clean(message: Message) -> None:
    """Take out what tells about the machine: attributes of the resource, paths in stack traces."""
    for part in _walk(message):
        if part.DESCRIPTOR.name == "Resource":
            kept = [attribute for attribute in part.attributes if not OF_THE_MACHINE.match(attribute.key)]  # type: ignore[attr-defined]
            del part.attributes[:]  # type: ignore[attr-defined]
            part.attributes.extend(kept)  # type: ignore[attr-defined]
        elif part.DESCRIPTOR.name == "AnyValue" and part.WhichOneof("value") == "string_value":
            part.string_value = PATHS.sub("", part.string_value)  # type: ignore[attr-defined]
        elif part.DESCRIPTOR.name == "Status":
            part.message = PATHS.sub("", part.message)  # type: ignore[attr-defined]


def _walk(message: Message) -> Iterator[Message]:
    yield message
    for field, value in message.ListFields():
        if field.message_type:
            for part in list(value) if field.is_repeated else [value]:
                yield from _walk(part)


def write_manifest(sdk: str, interpreter: str) -> None:
    path = RECORDINGS / "MANIFEST.json"
    manifest: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    manifest[sdk] = _packages(interpreter)
    path.write_text(json.dumps(dict(sorted(manifest.items())), indent=1) + "\n")


def _packages(interpreter: str) -> dict[str, str]:
    if Path(interpreter).name == "node":
        listed = subprocess.run(
            ["npm", "ls", "--json", "--depth=0"], capture_output=True, text=True, cwd=os.environ["NODE_PROJECT"]
        )
        found = {name: info["version"] for name, info in json.loads(listed.stdout)["dependencies"].items()}
    elif Path(interpreter).name == "java":
        # Maven's repository: artifact/version/artifact-version.jar.
        jars = [Path(jar) for jar in os.environ["CLASSPATH"].split(os.pathsep)]
        found = {jar.parent.parent.name: jar.parent.name for jar in jars}
    else:
        code = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
        found = json.loads(subprocess.run([interpreter, "-c", code], capture_output=True, text=True).stdout)
    return {name: version for name, version in sorted(found.items()) if PACKAGES.match(name.lower())}


if __name__ == "__main__":
    main()
