"""OpenTelemetry's instrumentation of botocore, on the Bedrock runtime."""

import json
import os

os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "true"

import openinference_bedrock as scripts
from common import providers, run


def setup(name):
    from opentelemetry.instrumentation.botocore import BotocoreInstrumentor

    BotocoreInstrumentor().instrument(tracer_provider=providers())


def invoke(method, prompt="Capital of France?"):
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 99,
        "messages": [{"role": "user", "content": [{"type": "text", "text": prompt}]}],
    }
    answer = getattr(scripts.client(), method)(modelId=scripts.MODEL, body=json.dumps(body))
    if method == "invoke_model":
        answer["body"].read()
    else:
        list(answer["body"])


def tools_and_results():
    """The result of the tool goes back to the model."""
    first = scripts.ask("Weather?", toolConfig=scripts.TOOLS)["output"]["message"]
    use = next(block["toolUse"] for block in first["content"] if "toolUse" in block)
    result = {"toolResult": {"toolUseId": use["toolUseId"], "content": [{"text": "sunny"}]}}
    messages = [{"role": "user", "content": [{"text": "Weather?"}]}, first, {"role": "user", "content": [result]}]
    scripts.client().converse(modelId=scripts.MODEL, messages=messages, toolConfig=scripts.TOOLS)


SCENARIOS = {
    **scripts.SCENARIOS,
    "chat_tools": tools_and_results,
    "invoke": lambda: invoke("invoke_model"),
    "invoke_stream": lambda: invoke("invoke_model_with_response_stream"),
    "error_invoke_429": lambda: invoke("invoke_model", "#429"),
}

if __name__ == "__main__":
    run(SCENARIOS, setup)
