"""OpenInference on Instructor and on the OpenAI SDK below it."""

import instructor
import openai
from common import providers, run
from pydantic import BaseModel


class City(BaseModel):
    name: str


def setup(name):
    from openinference.instrumentation.instructor import InstructorInstrumentor
    from openinference.instrumentation.openai import OpenAIInstrumentor

    tracers = providers(logs=False)
    InstructorInstrumentor().instrument(tracer_provider=tracers)
    OpenAIInstrumentor().instrument(tracer_provider=tracers)


def ask(prompt="Capital of France?"):
    client = instructor.from_openai(openai.OpenAI(max_retries=0))
    client.chat.completions.create(
        model="gpt-4o-mini", response_model=City, max_retries=0, messages=[{"role": "user", "content": prompt}]
    )


SCENARIOS = {"structured": ask, "error_401": lambda: ask("#401")}

if __name__ == "__main__":
    run(SCENARIOS, setup)
