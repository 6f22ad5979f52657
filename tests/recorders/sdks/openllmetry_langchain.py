"""OpenLLMetry on LangChain and LangGraph."""

import langchain_scripts
from common import providers, run


def setup(name):
    from opentelemetry.instrumentation.langchain import LangchainInstrumentor

    LangchainInstrumentor().instrument(tracer_provider=providers(logs=False))


if __name__ == "__main__":
    run(langchain_scripts.SCENARIOS, setup)
