"""OpenInference on the Mistral SDK."""

import mistral_scripts
from common import providers, run


def setup(name):
    from openinference.instrumentation.mistralai import MistralAIInstrumentor

    MistralAIInstrumentor().instrument(tracer_provider=providers(logs=False))


if __name__ == "__main__":
    run({name: scenario for name, scenario in mistral_scripts.SCENARIOS.items() if name != "embeddings"}, setup)
