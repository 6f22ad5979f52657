"""OpenLLMetry on the Cohere SDK."""

import cohere_scripts
from common import providers, run


def setup(name):
    from opentelemetry.instrumentation.cohere import CohereInstrumentor

    CohereInstrumentor().instrument(tracer_provider=providers(logs=False))


if __name__ == "__main__":
    run(cohere_scripts.SCENARIOS, setup)
