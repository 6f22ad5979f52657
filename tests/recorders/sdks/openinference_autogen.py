"""OpenInference on AutoGen."""

import asyncio

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_ext.models.openai import OpenAIChatCompletionClient
from common import providers, run


def setup(name):
    from openinference.instrumentation.autogen_agentchat import AutogenAgentChatInstrumentor

    AutogenAgentChatInstrumentor().instrument(tracer_provider=providers(logs=False))


async def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def agent(name="weather_agent", **options):
    client = OpenAIChatCompletionClient(model="gpt-4o-mini", max_retries=0)
    return AssistantAgent(name, model_client=client, **options)


def ask(prompt="Weather in Paris?", **options):
    asyncio.run(agent(**options).run(task=prompt))


def team():
    members = [agent("planner"), agent("writer")]
    chat = RoundRobinGroupChat(members, termination_condition=MaxMessageTermination(3))
    asyncio.run(chat.run(task="Plan a day in Paris"))


SCENARIOS = {
    "agent": ask,
    "agent_tools": lambda: ask(tools=[get_weather], reflect_on_tool_use=True),
    "agent_stream": lambda: ask(model_client_stream=True),
    "team": team,
    "error_context": lambda: ask("#400-context"),
}

if __name__ == "__main__":
    run(SCENARIOS, setup)
