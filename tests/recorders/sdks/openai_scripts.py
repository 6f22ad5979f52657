"""What the OpenAI SDK is recorded doing."""

import asyncio

import openai
from common import WEATHER

MODEL = "gpt-4o-mini"
TOOL = {"type": "function", "function": WEATHER}


def client(**options):
    return openai.OpenAI(max_retries=0, **options)


def ask(prompt="Capital of France?", **options):
    return client().chat.completions.create(model=MODEL, messages=[{"role": "user", "content": prompt}], **options)


def stream(**options):
    for _ in ask(stream=True, **options):
        pass


def chat_tools():
    messages = [{"role": "user", "content": "Weather in Paris?"}]
    first = client().chat.completions.create(model=MODEL, messages=messages, tools=[TOOL])
    answer = first.choices[0].message
    messages.append(answer.model_dump(include={"role", "content", "tool_calls"}))
    messages.append({"role": "tool", "tool_call_id": answer.tool_calls[0].id, "content": "sunny"})
    client().chat.completions.create(model=MODEL, messages=messages, tools=[TOOL])


async def _async():
    sdk = openai.AsyncOpenAI(max_retries=0)
    chunks = await sdk.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Capital?"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    async for _ in chunks:
        pass


def responses_stream():
    for _ in client().responses.create(model=MODEL, input="Capital of France?", stream=True):
        pass


def timeout():
    ask("#slow", timeout=0.5)


SCENARIOS = {
    "chat": ask,
    "chat_stream": lambda: stream(stream_options={"include_usage": True}),
    "chat_stream_nousage": stream,
    "chat_stream_async": lambda: asyncio.run(_async()),
    "chat_tools": chat_tools,
    "chat_length": lambda: ask("#length"),
    "chat_filter": lambda: ask("#filter"),
    "chat_stream_tools": lambda: list(
        ask("Weather?", tools=[TOOL], stream=True, stream_options={"include_usage": True})
    ),
    "responses": lambda: client().responses.create(model=MODEL, input="Capital of France?"),
    "responses_stream": responses_stream,
    "responses_tools": lambda: client().responses.create(
        model=MODEL, input="Weather?", tools=[{"type": "function", **WEATHER}]
    ),
    "embeddings": lambda: client().embeddings.create(model="text-embedding-3-small", input=["Paris", "Rome"]),
    "error_429": lambda: ask("#429"),
    "error_401": lambda: ask("#401"),
    "error_404": lambda: ask("#404"),
    "error_context": lambda: ask("#400-context"),
    "error_filter": lambda: ask("#400-filter"),
    "error_500": lambda: ask("#500"),
    "error_timeout": timeout,
    "error_reset": lambda: ask("#reset"),
    "error_stream_429": lambda: list(ask("#429", stream=True)),
    "error_responses_400": lambda: client().responses.create(model=MODEL, input="#400-bad"),
    "error_embeddings_429": lambda: client().embeddings.create(model="text-embedding-3-small", input="#429"),
}
