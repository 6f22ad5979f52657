"""OpenLLMetry on the OpenAI Agents SDK."""

import agents_scripts
from common import providers, run


def setup(name):
    from opentelemetry.instrumentation.openai_agents import OpenAIAgentsInstrumentor

    OpenAIAgentsInstrumentor().instrument(tracer_provider=providers())
    agents_scripts.quiet()


if __name__ == "__main__":
    run(agents_scripts.SCENARIOS, setup)
