"""Traceloop's decorators over OpenLLMetry."""

import openai_scripts
from common import run


def setup(name):
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from traceloop.sdk import Traceloop

    Traceloop.init(
        app_name="assistant", exporter=OTLPSpanExporter(), disable_batch=True, api_key="none", telemetry_enabled=False
    )


def decorated():
    from traceloop.sdk import Traceloop
    from traceloop.sdk.decorators import agent, task, tool, workflow

    @tool(name="get_weather")
    def get_weather(city):
        return "sunny"

    @task(name="ask_model")
    def ask_model():
        openai_scripts.ask("Which city?")

    @agent(name="weather_agent")
    def weather_agent():
        ask_model()
        get_weather("Paris")

    @workflow(name="weather_workflow")
    def weather_workflow():
        Traceloop.set_association_properties({"user_id": "u-1", "session_id": "session-7", "team": "search"})
        weather_agent()

    weather_workflow()


def failing_tool():
    from traceloop.sdk.decorators import tool, workflow

    @tool(name="get_weather")
    def get_weather(city):
        raise ValueError("no such city")

    @workflow(name="weather_workflow")
    def weather_workflow():
        openai_scripts.ask("Which city?")
        get_weather("Nowhere")

    weather_workflow()


SCENARIOS = {"decorated": decorated, "error_tool": failing_tool, "error_429": lambda: openai_scripts.ask("#429")}

if __name__ == "__main__":
    run(SCENARIOS, setup)
