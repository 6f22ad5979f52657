"""OpenInference on OpenAI Agents."""

import agents_scripts
from common import providers, run


def setup(name):
    from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor

    agents_scripts.quiet()
    OpenAIAgentsInstrumentor().instrument(tracer_provider=providers(logs=False))


if __name__ == "__main__":
    run(agents_scripts.SCENARIOS, setup)
