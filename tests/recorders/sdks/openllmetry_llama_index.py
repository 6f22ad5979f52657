"""OpenLLMetry on LlamaIndex, alone and over the client's instrumentation."""

import openinference_llama_index
from common import providers, run


def setup(name):
    from opentelemetry.instrumentation.llamaindex import LlamaIndexInstrumentor

    tracers = providers()
    LlamaIndexInstrumentor().instrument(tracer_provider=tracers)
    if name.startswith("both"):
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument(tracer_provider=tracers)


AGENT = openinference_llama_index.SCENARIOS["agent_tools"]

if __name__ == "__main__":
    run({"agent_tools": AGENT, "both_agent_tools": AGENT}, setup)
