"""The hub's own spans, exported as OTLP when telemetry.traces_endpoint is set; off otherwise."""

from __future__ import annotations

from opentelemetry import trace

from llmhub.config import TelemetryConfig


def configure(telemetry: TelemetryConfig) -> None:
    """Give the OpenTelemetry API an exporter. Without one its spans cost next to nothing."""
    if not telemetry.traces_endpoint:
        return
    # Few have it on, and every command would wait for these.
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "llmhub"}))
    exporter = OTLPSpanExporter(
        endpoint=telemetry.traces_endpoint, insecure=not telemetry.traces_endpoint.startswith("https")
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
