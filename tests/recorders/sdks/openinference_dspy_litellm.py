"""OpenInference on DSPy and on LiteLLM below it: every call is reported twice."""

import dspy
from common import providers, run


def setup(name):
    from openinference.instrumentation.dspy import DSPyInstrumentor
    from openinference.instrumentation.litellm import LiteLLMInstrumentor

    tracers = providers(logs=False)
    DSPyInstrumentor().instrument(tracer_provider=tracers)
    LiteLLMInstrumentor().instrument(tracer_provider=tracers)


def ask(prompt="Capital of France?"):
    dspy.configure(lm=dspy.LM("openai/gpt-4o-mini", cache=False, num_retries=0))
    dspy.settings.lm(prompt)


SCENARIOS = {"chat": ask, "error_401": lambda: ask("#401")}

if __name__ == "__main__":
    run(SCENARIOS, setup)
