"""What all scripts share: exporters set up by environment variables, scenarios run by name."""

import os
import sys
import traceback
from collections.abc import Callable

URL = os.environ.get("PROVIDER_URL", "")
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def providers(logs: bool = True):
    """A tracer provider that exports at once, set as the global one; with the logger provider if wanted."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracers)
    if logs:
        from opentelemetry._logs import set_logger_provider
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor

        loggers = LoggerProvider()
        loggers.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter()))
        set_logger_provider(loggers)
    return tracers


def run(scenarios: dict[str, Callable[[], object]], setup: Callable[[str], object] | None = None) -> None:
    """Run the scenarios named on the command line, or all: each in a process of its own that begins with the script's imports.

    Before each a line is read and after each one is written, so that the recorder can tell them apart.
    """
    for name in sys.argv[1:] or scenarios:
        print(name, flush=True)
        sys.stdin.readline()
        if not (child := os.fork()):
            _run(name, scenarios[name], setup)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        sys.stdin.readline()


def _run(name: str, scenario: Callable[[], object], setup: Callable[[str], object] | None) -> None:
    """A provider's refusal is part of a scenario."""
    try:
        if setup:
            setup(name)
        try:
            scenario()
        except Exception as error:
            if not name.startswith("error"):
                raise
            print(type(error).__name__, error, file=sys.stderr)
        _flush()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _flush() -> None:
    from opentelemetry import trace

    if hasattr(trace.get_tracer_provider(), "force_flush"):
        trace.get_tracer_provider().force_flush()
