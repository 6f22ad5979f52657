"""OpenTelemetry's own instrumentation of the OpenAI SDK, with content in log events."""

import os
import re

os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "true"

import openai_scripts
from common import providers, run


def setup(name):
    from opentelemetry._events import set_event_logger_provider
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
    from opentelemetry.sdk._events import EventLoggerProvider

    tracers = providers()
    set_event_logger_provider(EventLoggerProvider())
    OpenAIInstrumentor().instrument(tracer_provider=tracers)


SCENARIOS = {name: ask for name, ask in openai_scripts.SCENARIOS.items() if not re.search("responses|embeddings", name)}

if __name__ == "__main__":
    run(SCENARIOS, setup)
