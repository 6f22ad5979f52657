"""What the Ollama SDK is recorded doing."""

import asyncio

import ollama
from common import URL, WEATHER

MODEL = "llama3.2"
TOOL = {"type": "function", "function": WEATHER}


def client(**options):
    return ollama.Client(host=f"{URL}/ollama", **options)


def messages(prompt="Capital of France?"):
    return [{"role": "user", "content": prompt}]


def ask(prompt="Capital of France?", timeout=5, **options):
    return client(timeout=timeout).chat(model=MODEL, messages=messages(prompt), **options)


async def _async():
    sdk = ollama.AsyncClient(host=f"{URL}/ollama")
    await sdk.chat(model=MODEL, messages=messages())
    async for _ in await sdk.chat(model=MODEL, messages=messages(), stream=True):
        pass


SCENARIOS = {
    "chat": ask,
    "chat_async": lambda: asyncio.run(_async()),
    "chat_stream": lambda: list(ask(stream=True)),
    "chat_tools": lambda: ask("Weather?", tools=[TOOL]),
    "chat_length": lambda: ask("#length"),
    "generate": lambda: client().generate(model=MODEL, prompt="Capital of France?"),
    "generate_stream": lambda: list(client().generate(model=MODEL, prompt="Capital of France?", stream=True)),
    "embeddings": lambda: client().embed(model="nomic-embed-text", input="Paris"),
    "embeddings_first_version": lambda: client().embeddings(model="nomic-embed-text", prompt="Paris"),
    "error_404": lambda: ask("#404"),
    "error_500": lambda: ask("#500"),
    "error_timeout": lambda: ask("#slow", timeout=0.5),
}
