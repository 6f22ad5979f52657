"""OpenLLMetry on Google's Gen AI SDK."""

import google_genai_scripts as scripts
from common import providers, run


def setup(name):
    from opentelemetry.instrumentation.google_generativeai import GoogleGenerativeAiInstrumentor

    GoogleGenerativeAiInstrumentor().instrument(tracer_provider=providers())


if __name__ == "__main__":
    run(scripts.SCENARIOS, setup)
