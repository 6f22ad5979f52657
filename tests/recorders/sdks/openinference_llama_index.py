"""OpenInference on LlamaIndex."""

import asyncio

from common import URL, providers, run
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai import OpenAI


def setup(name):
    from openinference.instrumentation.llama_index import LlamaIndexInstrumentor

    LlamaIndexInstrumentor().instrument(tracer_provider=providers(logs=False))


def model():
    return OpenAI(model="gpt-4o-mini", max_retries=0, api_base=f"{URL}/openai/v1")


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


async def agent():
    await FunctionAgent(tools=[get_weather], llm=model(), name="weather_agent").run("Weather in Paris?")


def chat(prompt="Capital of France?"):
    model().chat([ChatMessage(role="user", content=prompt)])


SCENARIOS = {
    "chat": chat,
    "complete": lambda: model().complete("Capital of France?"),
    "chat_stream": lambda: list(model().stream_chat([ChatMessage(role="user", content="Capital?")])),
    "agent_tools": lambda: asyncio.run(agent()),
    "error_401": lambda: chat("#401"),
    "error_context": lambda: chat("#400-context"),
}

if __name__ == "__main__":
    run(SCENARIOS, setup)
