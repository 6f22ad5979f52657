"""What the OpenAI Agents SDK is recorded doing."""

import asyncio

from agents import Agent, Runner, function_tool


@function_tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def agent(**options):
    return Agent(name="weather_agent", instructions="Be brief.", model="gpt-4o-mini", **options)


def ask(prompt="Weather in Paris?", tools=(get_weather,)):
    Runner.run_sync(agent(tools=list(tools)), prompt)


def chat_completions():
    from agents import set_default_openai_api

    set_default_openai_api("chat_completions")
    ask()


async def _stream():
    result = Runner.run_streamed(agent(tools=[get_weather]), "Weather in Paris?")
    async for _ in result.stream_events():
        pass


def handoff():
    expert = agent()
    expert.name = "expert_agent"
    Runner.run_sync(Agent(name="triage_agent", model="gpt-4o-mini", handoffs=[expert]), "Ask the expert")


SCENARIOS = {
    "agent_tools": ask,
    "agent_two_tools": lambda: ask("#two Weather?"),
    "chat": lambda: ask(tools=()),
    "chat_completions": chat_completions,
    "agent_stream": lambda: asyncio.run(_stream()),
    "handoff": handoff,
    "error_context": lambda: ask("#400-context"),
}


def quiet():
    import os

    from agents import set_default_openai_client
    from openai import AsyncOpenAI

    os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "0"
    set_default_openai_client(AsyncOpenAI(max_retries=0), use_for_tracing=False)
