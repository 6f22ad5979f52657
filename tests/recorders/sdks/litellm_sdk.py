"""LiteLLM with its own OpenTelemetry callback."""

import asyncio
import time

import litellm
from common import URL, WEATHER, providers, run

TOOL = {"type": "function", "function": WEATHER}


def setup(name):
    providers()
    litellm.callbacks = ["otel"]
    litellm.num_retries = 0


def ask(model="openai/gpt-4o-mini", prompt="Capital of France?", **options):
    try:
        answer = litellm.completion(
            model=model, messages=[{"role": "user", "content": prompt}], max_retries=0, **options
        )
        if options.get("stream"):
            for _ in answer:
                pass
    finally:
        time.sleep(1)  # the callback runs in a thread of its own


async def _async(stream):
    answer = await litellm.acompletion(
        model="openai/gpt-4o-mini", messages=[{"role": "user", "content": "Capital?"}], stream=stream
    )
    if stream:
        async for _ in answer:
            pass
    await asyncio.sleep(1)


def embeddings():
    litellm.embedding(model="openai/text-embedding-3-small", input=["Paris"])
    time.sleep(1)


def responses():
    litellm.responses(model="openai/gpt-4o-mini", input="Capital of France?")
    time.sleep(1)


CLAUDE = "anthropic/claude-sonnet-4-5-20250929"
SCENARIOS = {
    "chat": lambda: ask(user="u-1", metadata={"session_id": "session-7", "tags": ["beta"]}),
    "chat_async": lambda: asyncio.run(_async(False)),
    "chat_stream": lambda: ask(stream=True, stream_options={"include_usage": True}),
    "chat_stream_nousage": lambda: ask(stream=True),
    "chat_stream_async": lambda: asyncio.run(_async(True)),
    "chat_tools": lambda: ask(prompt="Weather?", tools=[TOOL]),
    "chat_length": lambda: ask(prompt="#length"),
    "responses": responses,
    "embeddings": embeddings,
    "anthropic": lambda: ask(CLAUDE, max_tokens=99),
    "anthropic_stream": lambda: ask(CLAUDE, stream=True, max_tokens=99),
    "anthropic_tools": lambda: ask(CLAUDE, "Weather?", tools=[TOOL], max_tokens=99),
    "bedrock": lambda: ask(
        "bedrock/converse/us.anthropic.claude-sonnet-4-5-20250929-v1:0", aws_bedrock_runtime_endpoint=f"{URL}/bedrock"
    ),
    "gemini": lambda: ask("gemini/gemini-2.5-flash", api_base=f"{URL}/gemini/models/gemini-2.5-flash"),
    "error_429": lambda: ask(prompt="#429"),
    "error_401": lambda: ask(prompt="#401"),
    "error_context": lambda: ask(prompt="#400-context"),
    "error_filter": lambda: ask(prompt="#400-filter"),
    "error_500": lambda: ask(prompt="#500"),
    "error_timeout": lambda: ask(prompt="#slow", timeout=0.5),
    "error_anthropic_529": lambda: ask(CLAUDE, "#529", max_tokens=99),
}

if __name__ == "__main__":
    run(SCENARIOS, setup)
