"""Logfire's instrumentation of the OpenAI and Anthropic SDKs and of Pydantic AI."""

import anthropic
import openai_scripts
import openllmetry_anthropic
from common import run


def setup(name):
    import logfire

    logfire.configure(send_to_logfire=False, console=False, service_name="assistant", environment="test")
    logfire.instrument_openai()
    logfire.instrument_anthropic()


def anthropic_async_stream():
    import asyncio

    async def ask():
        sdk = anthropic.AsyncAnthropic(max_retries=0)
        async with sdk.messages.stream(
            model=openllmetry_anthropic.MODEL, max_tokens=9, messages=[{"role": "user", "content": "?"}]
        ) as chunks:
            async for _ in chunks.text_stream:
                pass

    asyncio.run(ask())


SCENARIOS = {
    **{
        f"openai_{name}" if not name.startswith("error") else name: scenario
        for name, scenario in openai_scripts.SCENARIOS.items()
    },
    **{
        f"anthropic_{name}" if not name.startswith("error") else f"error_anthropic_{name[6:]}": scenario
        for name, scenario in openllmetry_anthropic.SCENARIOS.items()
    },
    "anthropic_async_stream": anthropic_async_stream,
}

if __name__ == "__main__":
    run(SCENARIOS, setup)
