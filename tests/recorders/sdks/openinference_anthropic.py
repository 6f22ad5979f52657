"""OpenInference on Anthropic's SDK, which has spans of its own."""

import openllmetry_anthropic as scripts
from common import providers, run


def setup(name):
    from openinference.instrumentation.anthropic import AnthropicInstrumentor

    AnthropicInstrumentor().instrument(tracer_provider=providers(logs=False))


if __name__ == "__main__":
    run(scripts.SCENARIOS, setup)
