"""OpenInference on boto3's Bedrock client."""

import boto3
from common import providers, run

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def setup(name):
    from openinference.instrumentation.bedrock import BedrockInstrumentor

    BedrockInstrumentor().instrument(tracer_provider=providers(logs=False))


def client():
    from botocore.config import Config

    return boto3.client("bedrock-runtime", config=Config(retries={"total_max_attempts": 1}))


def ask(prompt="Capital of France?", **options):
    return client().converse(modelId=MODEL, messages=[{"role": "user", "content": [{"text": prompt}]}], **options)


def stream():
    for _ in client().converse_stream(modelId=MODEL, messages=[{"role": "user", "content": [{"text": "Capital?"}]}])[
        "stream"
    ]:
        pass


TOOLS = {
    "tools": [
        {
            "toolSpec": {
                "name": "get_weather",
                "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}}},
            }
        }
    ]
}
SCENARIOS = {
    "chat": ask,
    "chat_stream": stream,
    "chat_tools": lambda: ask(toolConfig=TOOLS),
    "chat_length": lambda: ask("#length"),
    "error_429": lambda: ask("#429"),
    "error_context": lambda: ask("#400-context"),
}

if __name__ == "__main__":
    run(SCENARIOS, setup)
