"""OpenLLMetry on the Ollama SDK."""

import ollama_scripts
from common import providers, run


def setup(name):
    from opentelemetry.instrumentation.ollama import OllamaInstrumentor

    OllamaInstrumentor().instrument(tracer_provider=providers(logs=False))


if __name__ == "__main__":
    run({name: scenario for name, scenario in ollama_scripts.SCENARIOS.items() if name != "embeddings"}, setup)
