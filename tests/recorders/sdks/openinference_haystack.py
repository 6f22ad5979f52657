"""OpenInference on Haystack."""

from common import providers, run
from haystack import Pipeline
from haystack.components.builders import ChatPromptBuilder
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage


def setup(name):
    from openinference.instrumentation.haystack import HaystackInstrumentor

    HaystackInstrumentor().instrument(tracer_provider=providers(logs=False))


def ask(prompt="Capital of France?"):
    pipeline = Pipeline()
    pipeline.add_component(
        "prompt", ChatPromptBuilder(template=[ChatMessage.from_user("{{question}}")], required_variables=["question"])
    )
    pipeline.add_component("llm", OpenAIChatGenerator(model="gpt-4o-mini", max_retries=0))
    pipeline.connect("prompt.prompt", "llm.messages")
    pipeline.run({"prompt": {"question": prompt}})


SCENARIOS = {"pipeline": ask, "error_401": lambda: ask("#401"), "error_context": lambda: ask("#400-context")}

if __name__ == "__main__":
    run(SCENARIOS, setup)
