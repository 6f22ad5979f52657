"""OpenLLMetry on Agno."""

import openinference_agno
from common import providers, run


def setup(name):
    from opentelemetry.instrumentation.agno import AgnoInstrumentor
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    tracers = providers()
    AgnoInstrumentor().instrument(tracer_provider=tracers)
    OpenAIInstrumentor().instrument(tracer_provider=tracers)


if __name__ == "__main__":
    run(openinference_agno.SCENARIOS, setup)
