"""Semantic Kernel with its own spans."""

import asyncio
import os

os.environ["SEMANTICKERNEL_EXPERIMENTAL_GENAI_ENABLE_OTEL_DIAGNOSTICS"] = "true"
os.environ["SEMANTICKERNEL_EXPERIMENTAL_GENAI_ENABLE_OTEL_DIAGNOSTICS_SENSITIVE"] = "true"

from common import providers, run
from openai import AsyncOpenAI
from semantic_kernel.agents import ChatCompletionAgent
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion
from semantic_kernel.functions import kernel_function


class Weather:
    @kernel_function
    def get_weather(self, city: str) -> str:
        """The weather of a city."""
        return f"sunny in {city}"


async def _ask(prompt, plugins, stream):
    service = OpenAIChatCompletion(ai_model_id="gpt-4o-mini", async_client=AsyncOpenAI(max_retries=0))
    agent = ChatCompletionAgent(service=service, name="weather_agent", plugins=plugins)
    if stream:
        async for _ in agent.invoke_stream(messages=prompt):
            pass
    else:
        await agent.get_response(messages=prompt)


def ask(prompt="Weather in Paris?", plugins=(), stream=False):
    asyncio.run(_ask(prompt, list(plugins), stream))


SCENARIOS = {
    "chat": ask,
    "agent_tools": lambda: ask(plugins=[Weather()]),
    "chat_stream": lambda: ask(stream=True),
    "error_401": lambda: ask("#401"),
    "error_context": lambda: ask("#400-context"),
}

if __name__ == "__main__":
    run(SCENARIOS, lambda name: providers())
