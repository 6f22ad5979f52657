"""OpenLLMetry on LangChain and on the OpenAI SDK below it: every call may be reported twice."""

import langchain_scripts
from common import providers, run


def setup(name):
    from opentelemetry.instrumentation.langchain import LangchainInstrumentor
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    tracers = providers(logs=False)
    LangchainInstrumentor().instrument(tracer_provider=tracers)
    OpenAIInstrumentor().instrument(tracer_provider=tracers)


if __name__ == "__main__":
    run(langchain_scripts.SCENARIOS, setup)
