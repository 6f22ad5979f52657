"""Logfire's instrumentation of OpenAI Agents."""

import agents_scripts
from common import run


def setup(name):
    import logfire

    logfire.configure(send_to_logfire=False, console=False, service_name="assistant", environment="test")
    logfire.instrument_openai_agents()
    agents_scripts.quiet()


if __name__ == "__main__":
    run(agents_scripts.SCENARIOS, setup)
