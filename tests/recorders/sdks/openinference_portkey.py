"""OpenInference on Portkey's SDK."""

from common import URL, WEATHER, providers, run
from portkey_ai import Portkey


def setup(name):
    from openinference.instrumentation.portkey import PortkeyInstrumentor

    PortkeyInstrumentor().instrument(tracer_provider=providers(logs=False))


def ask(prompt="Capital of France?", **options):
    client = Portkey(api_key="test", base_url=f"{URL}/openai/v1", provider="openai", max_retries=0)
    answer = client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}], **options
    )
    if options.get("stream"):
        list(answer)


SCENARIOS = {
    "chat": ask,
    "chat_stream": lambda: ask(stream=True, stream_options={"include_usage": True}),
    "chat_tools": lambda: ask("Weather?", tools=[{"type": "function", "function": WEATHER}]),
    "chat_length": lambda: ask("#length"),
    "error_429": lambda: ask("#429"),
    "error_context": lambda: ask("#400-context"),
}

if __name__ == "__main__":
    run(SCENARIOS, setup)
