"""OpenInference's processor over the spans of Pydantic AI."""

import pydantic_agents
from common import run


def setup(name):
    from openinference.instrumentation.pydantic_ai import OpenInferenceSpanProcessor
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    tracers = TracerProvider()
    tracers.add_span_processor(OpenInferenceSpanProcessor())
    tracers.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracers)


SCENARIOS = {name: ask for name, ask in pydantic_agents.SCENARIOS.items() if "anthropic" not in name}
SCENARIOS["error_401"] = lambda: pydantic_agents.ask(pydantic_agents.OPENAI, "#401")

if __name__ == "__main__":
    run(SCENARIOS, setup)
