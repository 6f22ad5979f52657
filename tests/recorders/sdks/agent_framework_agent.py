"""Microsoft's Agent Framework with its own spans."""

import asyncio

from agent_framework import Agent
from agent_framework.observability import enable_instrumentation
from agent_framework.openai import OpenAIChatClient, OpenAIChatCompletionClient
from common import providers, run


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def setup(name):
    providers()
    enable_instrumentation()


async def _ask(kind, prompt, tools, stream):
    agent = Agent(client=kind(model="gpt-4o-mini"), name="weather_agent", tools=tools)
    if stream:
        async for _ in agent.run(prompt, stream=True):
            pass
    else:
        await agent.run(prompt)


def ask(kind=OpenAIChatCompletionClient, prompt="Weather in Paris?", tools=(get_weather,), stream=False):
    asyncio.run(_ask(kind, prompt, list(tools), stream))


SCENARIOS = {
    "chat_tools": ask,
    "chat": lambda: ask(tools=()),
    "chat_stream": lambda: ask(tools=(), stream=True),
    "responses_tools": lambda: ask(OpenAIChatClient),
    "responses_stream": lambda: ask(OpenAIChatClient, tools=(), stream=True),
    "error_401": lambda: ask(prompt="#401"),
    "error_context": lambda: ask(prompt="#400-context"),
}

if __name__ == "__main__":
    run(SCENARIOS, setup)
