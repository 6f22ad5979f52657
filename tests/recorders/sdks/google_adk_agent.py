"""Google's Agent Development Kit with its own spans, on Gemini."""

import asyncio

from common import providers, run
from google.adk.agents import Agent
from google.adk.agents.run_config import RunConfig, StreamingMode
from google.adk.runners import InMemoryRunner
from google.genai import types


def get_weather(city: str) -> dict:
    """The weather of a city."""
    return {"weather": f"sunny in {city}"}


async def _ask(prompt, tools, mode):
    agent = Agent(model="gemini-2.5-flash", name="weather_agent", instruction="Be brief.", tools=tools)
    runner = InMemoryRunner(agent=agent, app_name="weather")
    session = await runner.session_service.create_session(app_name="weather", user_id="u-1", session_id="session-7")
    message = types.Content(role="user", parts=[types.Part(text=prompt)])
    async for _ in runner.run_async(
        user_id="u-1", session_id=session.id, new_message=message, run_config=RunConfig(streaming_mode=mode)
    ):
        pass


def ask(prompt="Weather in Paris?", tools=(get_weather,), mode=StreamingMode.NONE):
    asyncio.run(_ask(prompt, list(tools), mode))


SCENARIOS = {
    "agent_tools": ask,
    "agent_two_tools": lambda: ask("#two Weather?"),
    "chat": lambda: ask(tools=()),
    "chat_stream": lambda: ask(tools=(), mode=StreamingMode.SSE),
    "error_429": lambda: ask("#429"),
}

if __name__ == "__main__":
    run(SCENARIOS, lambda name: providers())
