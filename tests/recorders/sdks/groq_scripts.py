"""What the Groq SDK is recorded doing."""

import asyncio

import groq
from common import URL, WEATHER

MODEL = "llama-3.3-70b-versatile"
TOOL = {"type": "function", "function": WEATHER}
OPTIONS = {"api_key": "test", "base_url": f"{URL}/groq", "max_retries": 0}


def ask(prompt="Capital of France?", timeout=5, **options):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}]
    return groq.Groq(timeout=timeout, **OPTIONS).chat.completions.create(model=MODEL, messages=messages, **options)


async def _async(**options):
    sdk = groq.AsyncGroq(**OPTIONS)
    answer = await sdk.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "Capital of France?"}], **options
    )
    if options.get("stream"):
        async for _ in answer:
            pass


SCENARIOS = {
    "chat": ask,
    "chat_async": lambda: asyncio.run(_async()),
    "chat_stream": lambda: list(ask(stream=True)),
    "chat_stream_async": lambda: asyncio.run(_async(stream=True)),
    "chat_tools": lambda: ask("Weather?", tools=[TOOL]),
    "chat_length": lambda: ask("#length"),
    "error_429": lambda: ask("#429"),
    "error_401": lambda: ask("#401"),
    "error_context": lambda: ask("#400-context"),
    "error_500": lambda: ask("#500"),
    "error_timeout": lambda: ask("#slow", timeout=0.5),
    "error_stream_429": lambda: list(ask("#429", stream=True)),
}
