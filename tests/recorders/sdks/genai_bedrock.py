"""OpenTelemetry's instrumentation of boto3's Bedrock client."""

import openinference_bedrock as scripts
from common import providers, run


def setup(name):
    from opentelemetry.instrumentation.genai.bedrock import BedrockInstrumentor

    BedrockInstrumentor().instrument(tracer_provider=providers())


if __name__ == "__main__":
    run(scripts.SCENARIOS, setup)
