"""OpenInference on Google's Gen AI SDK."""

import google_genai_scripts as scripts
from common import providers, run


def setup(name):
    from openinference.instrumentation.google_genai import GoogleGenAIInstrumentor

    GoogleGenAIInstrumentor().instrument(tracer_provider=providers(logs=False))


if __name__ == "__main__":
    run(scripts.SCENARIOS, setup)
