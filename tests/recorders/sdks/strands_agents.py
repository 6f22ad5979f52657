"""Strands agents with their own spans, on OpenAI, Anthropic and Bedrock."""

from common import providers, run
from strands import Agent, tool


@tool
def get_weather(city: str) -> str:
    """The weather of a city.

    Args:
        city: Name of the city.
    """
    return f"sunny in {city}"


def openai(streaming=True):
    from strands.models.openai import OpenAIModel

    return OpenAIModel(model_id="gpt-4o-mini", client_args={"max_retries": 0}, streaming=streaming)


def anthropic():
    from strands.models.anthropic import AnthropicModel

    return AnthropicModel(model_id="claude-sonnet-4-5-20250929", max_tokens=200, client_args={"max_retries": 0})


def bedrock(streaming=True):
    from botocore.config import Config
    from strands.models import BedrockModel

    return BedrockModel(
        model_id="us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        streaming=streaming,
        boto_client_config=Config(retries={"total_max_attempts": 1}),
    )


def ask(model, prompt="Weather in Paris?", tools=(get_weather,)):
    attributes = {"session.id": "session-7", "user.id": "u-1"}
    Agent(model=model, tools=list(tools), name="weather_agent", trace_attributes=attributes, callback_handler=None)(
        prompt
    )


SCENARIOS = {
    "openai_stream_tools": lambda: ask(openai()),
    "openai_stream": lambda: ask(openai(), tools=()),
    "openai_two_tools": lambda: ask(openai(), "#two Weather?"),
    "anthropic_stream_tools": lambda: ask(anthropic()),
    "bedrock_stream_tools": lambda: ask(bedrock()),
    "bedrock_chat": lambda: ask(bedrock(streaming=False), tools=()),
    "error_context": lambda: ask(openai(), "#400-context"),
    "error_401": lambda: ask(openai(), "#401"),
}

if __name__ == "__main__":
    run(SCENARIOS, lambda name: providers(logs=False))
