"""LiteLLM's proxy with the second version of its OpenTelemetry integration."""

import os

os.environ |= {
    "LITELLM_OTEL_V2": "true",
    "LITELLM_OTEL_INTEGRATION_ENABLE_EVENTS": "true",
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "span_only",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "otlp_http",
}

import litellm_proxy_scripts as scripts
from common import run

if __name__ == "__main__":
    run(scripts.SCENARIOS, scripts.setup)
