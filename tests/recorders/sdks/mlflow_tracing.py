"""MLflow's tracing, exported over OTLP: OpenAI, LangChain and its decorator."""

import os
import time

os.environ["OTEL_BSP_SCHEDULE_DELAY"] = "200"
os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "") + "/v1/traces"
os.environ["MLFLOW_TRACKING_URI"] = "sqlite:///:memory:"

import langchain_scripts
import mlflow
import openai_scripts
from common import run


def setup(name):
    if name.startswith(("langchain", "error_langchain")):
        mlflow.langchain.autolog()
    else:
        mlflow.openai.autolog()


def flushed(call):
    def scenario():
        try:
            call()
        finally:
            time.sleep(1.5)  # it exports in a thread of its own

    return scenario


def decorated():
    @mlflow.trace(span_type="TOOL")
    def get_weather(city):
        return "sunny"

    @mlflow.trace(span_type="AGENT", name="weather_agent")
    def weather_agent(question):
        mlflow.update_current_trace(metadata={"mlflow.trace.user": "u-1", "mlflow.trace.session": "session-7"})
        openai_scripts.ask(question)
        return get_weather("Paris")

    weather_agent("Which city?")


OPENAI = (
    "chat",
    "chat_stream",
    "chat_length",
    "responses",
    "responses_stream",
    "chat_tools",
    "responses_tools",
    "embeddings",
    "error_429",
    "error_context",
    "error_timeout",
)
LANGCHAIN = ("chain", "chain_stream", "agent_tools", "agent_two_tools", "error_429")
SCENARIOS = {
    **{name: flushed(openai_scripts.SCENARIOS[name]) for name in OPENAI},
    **{
        f"{'error_' if name.startswith('error') else ''}langchain_{name.removeprefix('error_')}": flushed(
            langchain_scripts.SCENARIOS[name]
        )
        for name in LANGCHAIN
    },
    "decorated": flushed(decorated),
}

if __name__ == "__main__":
    run(SCENARIOS, setup)
