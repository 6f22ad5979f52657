"""OpenInference on LangChain and on the OpenAI SDK below it: every call is reported twice."""

import langchain_scripts
from common import providers, run


def setup(name):
    from openinference.instrumentation.langchain import LangChainInstrumentor
    from openinference.instrumentation.openai import OpenAIInstrumentor

    tracers = providers(logs=False)
    LangChainInstrumentor().instrument(tracer_provider=tracers)
    OpenAIInstrumentor().instrument(tracer_provider=tracers)


if __name__ == "__main__":
    run(langchain_scripts.SCENARIOS, setup)
