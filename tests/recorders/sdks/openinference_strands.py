"""OpenInference's processor over the spans of Strands."""

import strands_agents
from common import run


def setup(name):
    from openinference.instrumentation.strands_agents import StrandsAgentsToOpenInferenceProcessor
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    tracers = TracerProvider()
    tracers.add_span_processor(StrandsAgentsToOpenInferenceProcessor())
    tracers.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracers)


SCENARIOS = {name: ask for name, ask in strands_agents.SCENARIOS.items() if "anthropic" not in name}

if __name__ == "__main__":
    run(SCENARIOS, setup)
