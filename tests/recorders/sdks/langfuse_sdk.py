"""Langfuse: its OpenAI client, its LangChain handler and its decorator."""

import langchain_scripts
from common import URL, run


def setup(name):
    import os

    os.environ |= {
        "LANGFUSE_PUBLIC_KEY": "pk",
        "LANGFUSE_SECRET_KEY": "sk",
        "LANGFUSE_BASE_URL": f"{URL}/otlp",
        "LANGFUSE_HOST": f"{URL}/otlp",
    }
    import langfuse
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    langfuse.Langfuse(span_exporter=OTLPSpanExporter(), environment="test")


def chain(call):
    """With LangChain's handler."""
    from langfuse.langchain import CallbackHandler

    config = {
        "callbacks": [CallbackHandler()],
        "metadata": {"langfuse_session_id": "session-7", "langfuse_user_id": "u-1"},
    }
    call(config)
    flush()


def flush():
    import langfuse

    langfuse.get_client().flush()


def agent(config):
    from langchain.agents import create_agent

    create_agent(langchain_scripts.model(), [langchain_scripts.get_weather]).invoke(
        {"messages": [("user", "Weather?")]}, config
    )


def openai(prompt="Capital of France?", **options):
    from langfuse.openai import OpenAI

    try:
        answer = OpenAI(max_retries=0).chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}], **options
        )
        if options.get("stream"):
            for _ in answer:
                pass
    finally:
        flush()


def decorated():
    from langfuse import observe

    @observe(as_type="tool")
    def get_weather(city):
        return "sunny"

    @observe(as_type="agent")
    def weather_agent():
        openai("Which city?")
        get_weather("Paris")

    weather_agent()
    flush()


def failing(prompt):
    def call(config):
        try:
            langchain_scripts.model().invoke(prompt, config)
        finally:
            flush()

    return lambda: chain(call)


SCENARIOS = {
    "langchain_chat": lambda: chain(lambda config: langchain_scripts.model().invoke("Capital?", config)),
    "langchain_stream": lambda: chain(
        lambda config: list(langchain_scripts.model(stream_usage=True).stream("Capital?", config))
    ),
    "langchain_agent": lambda: chain(agent),
    "decorated": decorated,
    "openai_length": lambda: openai("#length"),
    "openai_stream_nousage": lambda: openai(stream=True),
    "error_langchain_429": failing("#429"),
    "error_langchain_context": failing("#400-context"),
    "error_401": lambda: openai("#401"),
    "error_context": lambda: openai("#400-context"),
    "error_500": lambda: openai("#500"),
}

if __name__ == "__main__":
    run(SCENARIOS, setup)
