"""OpenInference on LangChain and LangGraph."""

import langchain_scripts
from common import providers, run


def setup(name):
    from openinference.instrumentation.langchain import LangChainInstrumentor

    LangChainInstrumentor().instrument(tracer_provider=providers(logs=False))


if __name__ == "__main__":
    run(langchain_scripts.SCENARIOS, setup)
