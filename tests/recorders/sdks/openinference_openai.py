"""OpenInference on the OpenAI SDK."""

import openai_scripts
from common import providers, run


def setup(name):
    from openinference.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(tracer_provider=providers())


if __name__ == "__main__":
    run(openai_scripts.SCENARIOS, setup)
