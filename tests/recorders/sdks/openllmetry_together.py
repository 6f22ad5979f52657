"""OpenLLMetry on Together's SDK."""

import together
from common import URL, WEATHER, providers, run

MODEL = "meta-llama/Llama-3.3-70B-Instruct-Turbo"


def setup(name):
    from opentelemetry.instrumentation.together import TogetherAiInstrumentor

    TogetherAiInstrumentor().instrument(tracer_provider=providers())


def ask(prompt="Capital of France?", **options):
    client = together.Together(api_key="test", base_url=f"{URL}/together/v1", max_retries=0)
    answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": prompt}], **options)
    if options.get("stream"):
        list(answer)


SCENARIOS = {
    "chat": ask,
    "chat_stream": lambda: ask(stream=True),
    "chat_tools": lambda: ask("Weather?", tools=[{"type": "function", "function": WEATHER}]),
    "chat_length": lambda: ask("#length", max_tokens=5),
    "error_429": lambda: ask("#429"),
    "error_context": lambda: ask("#400-context"),
}

if __name__ == "__main__":
    run(SCENARIOS, setup)
