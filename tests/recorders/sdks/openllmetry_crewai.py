"""OpenLLMetry on CrewAI, with OpenAI's client below."""

import openinference_crewai as scripts
from common import providers, run


def setup(name):
    from opentelemetry.instrumentation.crewai import CrewAIInstrumentor
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    tracers = providers(logs=False)
    CrewAIInstrumentor().instrument(tracer_provider=tracers)
    OpenAIInstrumentor().instrument(tracer_provider=tracers)


SCENARIOS = scripts.SCENARIOS

if __name__ == "__main__":
    run(SCENARIOS, setup)
