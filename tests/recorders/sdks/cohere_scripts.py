"""What the Cohere SDK is recorded doing."""

import asyncio

import cohere
from common import URL, WEATHER

MODEL = "command-a-03-2025"
TOOL = {"type": "function", "function": WEATHER}
OPTIONS = {"api_key": "test", "base_url": f"{URL}/cohere"}
ONCE = {"max_retries": 0}


def ask(prompt="Capital of France?", timeout=5, **options):
    messages = [{"role": "user", "content": prompt}]
    return cohere.ClientV2(**OPTIONS).chat(
        model=MODEL, messages=messages, request_options={**ONCE, "timeout_in_seconds": timeout}, **options
    )


def stream(prompt="Capital of France?"):
    for _ in cohere.ClientV2(**OPTIONS).chat_stream(
        model=MODEL, messages=[{"role": "user", "content": prompt}], request_options=ONCE
    ):
        pass


async def _async():
    sdk = cohere.AsyncClientV2(**OPTIONS)
    await sdk.chat(model=MODEL, messages=[{"role": "user", "content": "Capital of France?"}])


def embed():
    cohere.ClientV2(**OPTIONS).embed(
        model="embed-v4.0", texts=["Paris", "Rome"], input_type="search_document", embedding_types=["float"]
    )


def rerank(prompt="Capital of France?"):
    cohere.ClientV2(**OPTIONS).rerank(
        model="rerank-v3.5", query=prompt, documents=["Paris is it.", "Rome is not."], request_options=ONCE
    )


SCENARIOS = {
    "chat": ask,
    "chat_async": lambda: asyncio.run(_async()),
    "chat_first_version": lambda: cohere.Client(**OPTIONS).chat(model=MODEL, message="Capital of France?"),
    "chat_stream": stream,
    "chat_tools": lambda: ask("Weather?", tools=[TOOL]),
    "chat_length": lambda: ask("#length"),
    "embeddings": embed,
    "rerank": rerank,
    "error_429": lambda: ask("#429"),
    "error_401": lambda: ask("#401"),
    "error_context": lambda: ask("#400-context"),
    "error_timeout": lambda: ask("#slow", timeout=1),
    "error_rerank_429": lambda: rerank("#429"),
}
