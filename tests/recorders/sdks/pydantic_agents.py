"""Pydantic AI with its own spans, on OpenAI and Anthropic."""

import asyncio

from common import providers, run
from pydantic import BaseModel
from pydantic_ai import Agent, InstrumentationSettings

OPENAI = "openai-chat:gpt-4o-mini"
RESPONSES = "openai-responses:gpt-4o-mini"
ANTHROPIC = "anthropic:claude-sonnet-4-5-20250929"


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


class City(BaseModel):
    name: str


def ask(model, prompt="Weather in Paris?", tools=(get_weather,), version=5, **options):
    Agent.instrument_all(InstrumentationSettings(version=version))
    return Agent(model, tools=tools, name="weather_agent", retries=0, **options).run_sync(prompt)


async def _stream(model, tools):
    Agent.instrument_all()
    agent = Agent(model, tools=tools, name="weather_agent")
    async with agent.run_stream("Weather in Paris?") as result:
        async for _ in result.stream_text():
            pass


def stream(model, tools=()):
    asyncio.run(_stream(model, tools))


def nested():
    """A tool that asks another agent."""
    Agent.instrument_all()
    helper = Agent(OPENAI, name="helper_agent")

    async def ask_helper(question: str) -> str:
        return (await helper.run(question)).output

    Agent(OPENAI, tools=[ask_helper], name="main_agent").run_sync("Ask the helper")


SCENARIOS = {
    "openai_tools": lambda: ask(OPENAI),
    "openai_two_tools": lambda: ask(OPENAI, "#two Weather?"),
    "openai_structured": lambda: ask(OPENAI, tools=(), output_type=City),
    "openai_stream": lambda: stream(OPENAI),
    "openai_stream_tools": lambda: stream(OPENAI, (get_weather,)),
    "responses_tools": lambda: ask(RESPONSES),
    "responses_stream": lambda: stream(RESPONSES),
    "anthropic_tools": lambda: ask(ANTHROPIC),
    "anthropic_stream": lambda: stream(ANTHROPIC),
    "anthropic_v2": lambda: ask(ANTHROPIC, version=2),
    "openai_v3": lambda: ask(OPENAI, version=3),
    "openai_v4": lambda: ask(OPENAI, version=4),
    "openai_v6": lambda: ask(OPENAI, version=6),
    "anthropic_length": lambda: ask(ANTHROPIC, "#length Capital?", tools=()),
    "nested_agents": nested,
    "error_context": lambda: ask(OPENAI, "#400-context"),
    "error_401": lambda: ask(ANTHROPIC, "#401"),
}

if __name__ == "__main__":
    run(SCENARIOS, lambda name: providers())
