"""OpenLLMetry on the Mistral SDK."""

import mistral_scripts
from common import providers, run


def setup(name):
    from opentelemetry.instrumentation.mistralai import MistralAiInstrumentor

    MistralAiInstrumentor().instrument(tracer_provider=providers(logs=False))


if __name__ == "__main__":
    run(mistral_scripts.SCENARIOS, setup)
