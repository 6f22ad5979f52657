"""OpenLLMetry on Anthropic's SDK, which has spans of its own."""

import anthropic
from common import WEATHER, providers, run

MODEL = "claude-sonnet-4-5-20250929"
TOOL = {"name": WEATHER["name"], "description": WEATHER["description"], "input_schema": WEATHER["parameters"]}


def setup(name):
    from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor

    AnthropicInstrumentor().instrument(tracer_provider=providers())


def ask(prompt, **options):
    client = anthropic.Anthropic(max_retries=options.pop("max_retries", 0))
    return client.messages.create(
        model=MODEL, max_tokens=200, messages=[{"role": "user", "content": prompt}], **options
    )


def chat_stream():
    for _ in ask("Capital of France?", stream=True):
        pass


def chat_stream_helper():
    client = anthropic.Anthropic(max_retries=0)
    with client.messages.stream(
        model=MODEL, max_tokens=200, messages=[{"role": "user", "content": "Capital?"}]
    ) as stream:
        for _ in stream.text_stream:
            pass


def chat_tools():
    client = anthropic.Anthropic(max_retries=0)
    messages = [{"role": "user", "content": "Weather in Paris?"}]
    first = client.messages.create(model=MODEL, max_tokens=200, messages=messages, tools=[TOOL])
    (use,) = [block for block in first.content if block.type == "tool_use"]
    messages.append({"role": "assistant", "content": [use.model_dump(include={"type", "id", "name", "input"})]})
    messages.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}]})
    client.messages.create(model=MODEL, max_tokens=200, messages=messages, tools=[TOOL])


async def _async():
    client = anthropic.AsyncAnthropic(max_retries=0)
    await client.messages.create(model=MODEL, max_tokens=200, messages=[{"role": "user", "content": "Capital?"}])


def chat_async():
    import asyncio

    asyncio.run(_async())


SCENARIOS = {
    "chat": lambda: ask("Capital of France?"),
    "chat_async": chat_async,
    "chat_stream": chat_stream,
    "chat_stream_helper": chat_stream_helper,
    "chat_tools": chat_tools,
    "chat_length": lambda: ask("#length Capital of France?"),
    "error_429": lambda: ask("#429"),
    "error_429_retried": lambda: ask("#429", max_retries=1),
    "error_529": lambda: ask("#529"),
    "error_401": lambda: ask("#401"),
    "error_context": lambda: ask("#400-context"),
    "error_stream_500": lambda: ask("#500", stream=True),
}

if __name__ == "__main__":
    run(SCENARIOS, setup)
