"""OpenInference on Agno."""

from agno.agent import Agent
from agno.models.openai import OpenAIChat
from common import providers, run


def setup(name):
    from openinference.instrumentation.agno import AgnoInstrumentor

    AgnoInstrumentor().instrument(tracer_provider=providers(logs=False))


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def ask(prompt="Weather in Paris?", tools=(get_weather,), stream=False):
    agent = Agent(
        model=OpenAIChat(id="gpt-4o-mini", max_retries=0), tools=list(tools), name="weather_agent", telemetry=False
    )
    answer = agent.run(prompt, stream=stream, user_id="u-1", session_id="session-7")
    if stream:
        list(answer)


SCENARIOS = {
    "agent_tools": ask,
    "chat": lambda: ask(tools=()),
    "chat_stream": lambda: ask(tools=(), stream=True),
    "error_401": lambda: ask("#401"),
}

if __name__ == "__main__":
    run(SCENARIOS, setup)
