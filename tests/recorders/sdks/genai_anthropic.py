"""OpenTelemetry's instrumentation of Anthropic's SDK, which has spans of its own."""

import os

import openllmetry_anthropic as scripts
from common import providers, run


def setup(name):
    os.environ.setdefault("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor

    AnthropicInstrumentor().instrument(tracer_provider=providers())


if __name__ == "__main__":
    run(scripts.SCENARIOS, setup)
