"""OpenTelemetry's instrumentation of OpenAI Agents, with that of the OpenAI SDK for the calls."""

import agents_scripts
from common import providers, run


def setup(name):
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
    from opentelemetry.instrumentation.genai.openai_agents import OpenAIAgentsInstrumentor

    tracers = providers()
    agents_scripts.quiet()
    OpenAIInstrumentor().instrument(tracer_provider=tracers)
    OpenAIAgentsInstrumentor().instrument(tracer_provider=tracers)


if __name__ == "__main__":
    run(agents_scripts.SCENARIOS, setup)
