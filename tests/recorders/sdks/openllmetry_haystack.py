"""OpenLLMetry on Haystack."""

import openinference_haystack
from common import providers, run


def setup(name):
    from opentelemetry.instrumentation.haystack import HaystackInstrumentor
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    tracers = providers()
    HaystackInstrumentor().instrument(tracer_provider=tracers)
    OpenAIInstrumentor().instrument(tracer_provider=tracers)


if __name__ == "__main__":
    run(openinference_haystack.SCENARIOS, setup)
