"""The OpenAI Agents SDK under Langfuse: OpenInference's spans through Langfuse's exporter, within its own spans."""

import agents_scripts
from common import URL, run


def setup(name):
    import os

    os.environ |= {"LANGFUSE_PUBLIC_KEY": "pk", "LANGFUSE_SECRET_KEY": "sk", "LANGFUSE_BASE_URL": f"{URL}/otlp"}
    import langfuse
    from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    langfuse.Langfuse(span_exporter=OTLPSpanExporter(), environment="test")
    OpenAIAgentsInstrumentor().instrument()
    agents_scripts.quiet()


def within(call):
    """A span of Langfuse around it that names user and session."""

    def scenario():
        import langfuse

        client = langfuse.get_client()
        span = client.start_as_current_observation(as_type="span", name="conversation")
        with span, langfuse.propagate_attributes(user_id="u-1", session_id="session-7"):
            call()

    return scenario


SCENARIOS = {name: within(call) for name, call in agents_scripts.SCENARIOS.items()}

if __name__ == "__main__":
    run(SCENARIOS, setup)
