"""OpenInference on smolagents."""

from common import providers, run
from smolagents import CodeAgent, OpenAIServerModel, ToolCallingAgent, tool


@tool
def get_weather(city: str) -> str:
    """The weather of a city.

    Args:
        city: Name of the city.
    """
    return f"sunny in {city}"


def setup(name):
    from openinference.instrumentation.smolagents import SmolagentsInstrumentor

    SmolagentsInstrumentor().instrument(tracer_provider=providers(logs=False))


def ask(prompt="Weather in Paris?", kind=ToolCallingAgent, tools=(get_weather,)):
    model = OpenAIServerModel(model_id="gpt-4o-mini", client_kwargs={"max_retries": 0})
    kind(tools=list(tools), model=model, max_steps=2, verbosity_level=0).run(prompt)


SCENARIOS = {"agent_tools": ask, "code_agent": lambda: ask(kind=CodeAgent), "error_401": lambda: ask("#401")}

if __name__ == "__main__":
    run(SCENARIOS, setup)
