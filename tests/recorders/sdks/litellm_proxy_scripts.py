"""LiteLLM's proxy, asked by clients of OpenAI and Anthropic."""

import os
import tempfile
import threading
import time

os.environ |= {
    "LITELLM_LOCAL_MODEL_COST_MAP": "true",
    "OTEL_EXPORTER": "otlp_http",
    "OTEL_ENDPOINT": os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "") + "/v1/traces",
    "OTEL_BSP_SCHEDULE_DELAY": "500",
    "LITELLM_MASTER_KEY": "sk-recorded-by-a-test-of-the-hub",
}

import httpx
import openai
import uvicorn
import yaml
from common import URL, WEATHER
from litellm.proxy.proxy_server import app

TOOL = {"type": "function", "function": WEATHER}
MODELS = {
    "mini": {"model": "openai/gpt-4o-mini", "api_base": f"{URL}/openai/v1"},
    "vectors": {"model": "openai/text-embedding-3-small", "api_base": f"{URL}/openai/v1"},
    "claude": {"model": "anthropic/claude-sonnet-4-5-20250929", "api_base": f"{URL}/anthropic"},
    "gemini": {"model": "gemini/gemini-2.5-flash", "api_base": f"{URL}/gemini/models/gemini-2.5-flash"},
    "bedrock": {
        "model": "bedrock/converse/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "aws_bedrock_runtime_endpoint": f"{URL}/bedrock",
    },
}
port = 0


def serve(callbacks):
    """Start the proxy in a thread."""
    global port
    config = {
        "model_list": [{"model_name": name, "litellm_params": values} for name, values in MODELS.items()],
        "litellm_settings": {"callbacks": callbacks, "num_retries": 0, "request_timeout": 1},
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        "general_settings": {"master_key": "sk-recorded-by-a-test-of-the-hub"},
    }
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as file:
        yaml.safe_dump(config, file)
    os.environ["CONFIG_FILE_PATH"] = file.name
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.1)
    port = server.servers[0].sockets[0].getsockname()[1]
    os.unlink(file.name)


def vendor(callback):
    """What the callback of a vendor needs."""
    os.environ |= {
        "arize": {
            "ARIZE_SPACE_ID": "space", "ARIZE_API_KEY": "key", "ARIZE_PROJECT_NAME": "assistant",
            "ARIZE_HTTP_ENDPOINT": f"{URL}/otlp/v1/traces",
        },
        "arize_phoenix": {"PHOENIX_COLLECTOR_HTTP_ENDPOINT": f"{URL}/otlp/v1/traces"},
        "langfuse_otel": {"LANGFUSE_PUBLIC_KEY": "pk", "LANGFUSE_SECRET_KEY": "sk", "LANGFUSE_OTEL_HOST": f"{URL}/otlp"},
    }.get(callback, {})  # fmt: skip
    serve([callback])


def setup(name):
    vendor({"arize": "arize", "phoenix": "arize_phoenix", "langfuse": "langfuse_otel"}.get(name.split("_")[0], "otel"))


def client():
    return openai.OpenAI(
        base_url=f"http://127.0.0.1:{port}/v1", api_key="sk-recorded-by-a-test-of-the-hub", max_retries=0
    )


def ask(model="mini", prompt="Capital of France?", **options):
    try:
        answer = client().chat.completions.create(
            model=model, messages=[{"role": "user", "content": prompt}], **options
        )
        if options.get("stream"):
            list(answer)
    finally:
        wait()


def wait():
    """The callbacks run after the answer, and export in batches."""
    time.sleep(3)


def then_wait(call):
    def scenario():
        call()
        wait()

    return scenario


def chat_tools():
    messages = [{"role": "user", "content": "Weather in Paris?"}]
    first = client().chat.completions.create(model="mini", messages=messages, tools=[TOOL])
    answer = first.choices[0].message
    messages.append(answer.model_dump(include={"role", "content", "tool_calls"}))
    messages.append({"role": "tool", "tool_call_id": answer.tool_calls[0].id, "content": "sunny"})
    client().chat.completions.create(model="mini", messages=messages, tools=[TOOL])


def claude(**options):
    """With the API of Anthropic."""
    messages = [{"role": "user", "content": "Capital of France?"}]
    body = {"model": "claude", "max_tokens": 99, "messages": messages, **options}
    httpx.post(
        f"http://127.0.0.1:{port}/v1/messages",
        json=body,
        headers={"x-api-key": "sk-recorded-by-a-test-of-the-hub"},
        timeout=30,
    )


USAGE = {"stream": True, "stream_options": {"include_usage": True}}
SCENARIOS = {
    "chat": lambda: ask(user="u-1", extra_body={"metadata": {"session_id": "session-7", "tags": ["beta"]}}),
    "chat_stream": lambda: ask(**USAGE),
    "chat_tools": then_wait(chat_tools),
    "chat_length": lambda: ask(prompt="#length"),
    "responses": then_wait(lambda: client().responses.create(model="mini", input="Capital of France?")),
    "embeddings": then_wait(lambda: client().embeddings.create(model="vectors", input=["Paris", "Rome"])),
    "anthropic": lambda: ask("claude"),
    "anthropic_stream": lambda: ask("claude", **USAGE),
    "messages": then_wait(claude),
    "messages_stream": then_wait(lambda: claude(stream=True)),
    "bedrock": lambda: ask("bedrock"),
    "gemini": lambda: ask("gemini"),
    "error_429": lambda: ask(prompt="#429"),
    "error_context": lambda: ask(prompt="#400-context"),
    "error_timeout": lambda: ask(prompt="#slow"),
    "error_anthropic_529": lambda: ask("claude", "#529"),
}
SHORT = ("chat", "chat_stream", "chat_tools", "messages")
SCENARIOS |= {f"{vendor}_{name}": SCENARIOS[name] for vendor in ("arize", "phoenix", "langfuse") for name in SHORT}
