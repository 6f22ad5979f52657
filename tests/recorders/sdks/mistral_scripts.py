"""What the Mistral SDK is recorded doing."""

import asyncio

from common import URL, WEATHER

try:
    from mistralai import Mistral
except ImportError:  # 2 and above
    from mistralai.client import Mistral

MODEL = "mistral-large-latest"
TOOL = {"type": "function", "function": WEATHER}


def client():
    return Mistral(api_key="test", server_url=f"{URL}/mistral", timeout_ms=500)


def messages(prompt="Capital of France?"):
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}]


def ask(prompt="Capital of France?", **options):
    return client().chat.complete(model=MODEL, messages=messages(prompt), **options)


def stream(prompt="Capital of France?", **options):
    for _ in client().chat.stream(model=MODEL, messages=messages(prompt), **options):
        pass


async def _async():
    await client().chat.complete_async(model=MODEL, messages=messages())
    async for _ in await client().chat.stream_async(model=MODEL, messages=messages()):
        pass


SCENARIOS = {
    "chat": ask,
    "chat_async": lambda: asyncio.run(_async()),
    "chat_stream": stream,
    "chat_tools": lambda: ask("Weather?", tools=[TOOL]),
    "chat_stream_tools": lambda: stream("#two Weather?", tools=[TOOL]),
    "chat_length": lambda: ask("#length"),
    "embeddings": lambda: client().embeddings.create(model="mistral-embed", inputs=["Paris", "Rome"]),
    "error_429": lambda: ask("#429"),
    "error_401": lambda: ask("#401"),
    "error_context": lambda: ask("#400-context"),
    "error_timeout": lambda: ask("#slow"),
}
