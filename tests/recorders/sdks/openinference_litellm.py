"""OpenInference on LiteLLM."""

import litellm_sdk
from common import providers, run


def setup(name):
    from openinference.instrumentation.litellm import LiteLLMInstrumentor

    LiteLLMInstrumentor().instrument(tracer_provider=providers(logs=False))


if __name__ == "__main__":
    run(litellm_sdk.SCENARIOS, setup)
