"""OpenInference on the Groq SDK."""

import groq_scripts
from common import providers, run


def setup(name):
    from openinference.instrumentation.groq import GroqInstrumentor

    GroqInstrumentor().instrument(tracer_provider=providers(logs=False))


if __name__ == "__main__":
    run(groq_scripts.SCENARIOS, setup)
