"""OpenInference on CrewAI, with LiteLLM or its own OpenAI client below."""

import os

os.environ["CREWAI_DISABLE_TELEMETRY"] = os.environ["OTEL_SDK_DISABLED_CREWAI"] = "true"
os.environ["CREWAI_TRACING_ENABLED"] = "false"

from common import providers, run
from crewai import LLM, Agent, Crew, Task


def setup(name):
    from openinference.instrumentation.crewai import CrewAIInstrumentor

    CrewAIInstrumentor().instrument(tracer_provider=providers(logs=False))


def ask(prompt="Say the capital of France."):
    agent = Agent(role="Geographer", goal="Answer", backstory="You know maps.", llm=LLM(model="openai/gpt-4o-mini"))
    Crew(agents=[agent], tasks=[Task(description=prompt, expected_output="A city", agent=agent)]).kickoff()


SCENARIOS = {"crew": ask}

if __name__ == "__main__":
    run(SCENARIOS, setup)
