"""Grafana's agento11y around the OpenAI and Anthropic SDKs."""

import anthropic
import openai
from common import providers, run

MESSAGES = [{"role": "user", "content": "Capital of France?"}]


def client():
    from agento11y import Client, ClientConfig, GenerationExportConfig

    return Client(ClientConfig(generation_export=GenerationExportConfig(protocol="none")))


def chat(prompt="Capital of France?"):
    from agento11y_openai import OpenAIOptions
    from agento11y_openai import chat as recorded

    sdk = openai.OpenAI(max_retries=0)
    request = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": prompt}]}
    options = OpenAIOptions(conversation_id="session-7", agent_name="weather_agent", agent_version="1.0.0")
    recorded.completions.create(client(), request, lambda asked: sdk.chat.completions.create(**asked), options)


def responses():
    from agento11y_openai import OpenAIOptions
    from agento11y_openai import responses as recorded

    sdk = openai.OpenAI(max_retries=0)
    recorded.create(
        client(),
        {"model": "gpt-4o-mini", "input": "Capital?"},
        lambda asked: sdk.responses.create(**asked),
        OpenAIOptions(),
    )


def embeddings():
    from agento11y_openai import OpenAIOptions
    from agento11y_openai import embeddings as recorded

    sdk = openai.OpenAI(max_retries=0)
    recorded.create(
        client(),
        {"model": "text-embedding-3-small", "input": ["Paris"]},
        lambda asked: sdk.embeddings.create(**asked),
        OpenAIOptions(),
    )


def claude(prompt="Capital of France?"):
    from agento11y_anthropic import AnthropicOptions, messages

    sdk = anthropic.Anthropic(max_retries=0)
    request = {
        "model": "claude-sonnet-4-5-20250929",
        "max_tokens": 99,
        "messages": [{"role": "user", "content": prompt}],
    }
    messages.create(client(), request, lambda asked: sdk.messages.create(**asked), AnthropicOptions())


SCENARIOS = {
    "chat": chat,
    "responses": responses,
    "embeddings": embeddings,
    "anthropic": claude,
    "error_429": lambda: chat("#429"),
    "error_anthropic_529": lambda: claude("#529"),
}

if __name__ == "__main__":
    run(SCENARIOS, lambda name: providers(logs=False))
