"""LangSmith's own OpenTelemetry export: LangChain, its OpenAI client and its decorator."""

import os

os.environ |= {"LANGSMITH_TRACING": "true", "LANGSMITH_OTEL_ENABLED": "true", "LANGSMITH_OTEL_ONLY": "true"}
os.environ |= {"LANGSMITH_API_KEY": "none", "LANGSMITH_PROJECT": "assistant"}

import langchain_scripts
import openai_scripts
from common import URL, providers, run


def setup(name):
    os.environ["LANGSMITH_ENDPOINT"] = f"{URL}/langsmith"
    providers(logs=False)


def flushed(call):
    """Its thread sends what it has gathered."""

    def scenario():
        try:
            return call()
        finally:
            from langchain_core.tracers.langchain import wait_for_all_tracers
            from langsmith import run_trees

            wait_for_all_tracers()
            run_trees.get_cached_client().flush()

    return scenario


def wrapped(call):
    """The calls of the OpenAI SDK with LangSmith's client."""
    from langsmith.wrappers import wrap_openai

    plain = openai_scripts.client

    def scenario():
        openai_scripts.client = lambda **options: wrap_openai(plain(**options))
        call()

    return scenario


def decorated():
    from langsmith import traceable

    @traceable(run_type="tool", name="get_weather")
    def get_weather(city):
        return "sunny"

    @traceable(run_type="chain", name="weather_chain", metadata={"session_id": "session-7", "user_id": "u-1"})
    def weather_chain(question):
        openai_scripts.ask(question)
        return get_weather("Paris")

    weather_chain("Which city?")


OPENAI = (
    "chat",
    "chat_stream",
    "chat_stream_nousage",
    "chat_tools",
    "responses",
    "responses_stream",
    "error_429",
    "error_context",
)
SCENARIOS = {
    **{name: flushed(call) for name, call in langchain_scripts.SCENARIOS.items() if name != "embeddings"},
    **{
        f"{'error_' if name.startswith('error') else ''}openai_{name.removeprefix('error_')}": flushed(
            wrapped(openai_scripts.SCENARIOS[name])
        )
        for name in OPENAI
    },
    "decorated": flushed(wrapped(decorated)),
}

if __name__ == "__main__":
    run(SCENARIOS, setup)
