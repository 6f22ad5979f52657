"""What Google's Gen AI SDK is recorded doing."""

from functools import cache

from common import URL
from google import genai

MODEL = "gemini-2.5-flash"


@cache  # one that is dropped is closed
def client():
    return genai.Client(api_key="test", http_options={"base_url": f"{URL}/gemini", "timeout": 5000})


def ask(prompt="Capital of France?", **config):
    return client().models.generate_content(model=MODEL, contents=prompt, config=config or None)


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


SCENARIOS = {
    "chat": ask,
    "chat_stream": lambda: list(client().models.generate_content_stream(model=MODEL, contents="Capital of France?")),
    "chat_tools": lambda: ask("Weather?", tools=[get_weather]),
    "chat_length": lambda: ask("#length", max_output_tokens=5),
    "chat_filter": lambda: ask("#filter"),
    "error_400": lambda: ask("#400-bad"),
    "error_401": lambda: ask("#401"),
}
