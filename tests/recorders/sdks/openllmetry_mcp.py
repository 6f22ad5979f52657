"""OpenLLMetry on the MCP SDK."""

import mcp_tools
from common import providers, run


def setup(name):
    from opentelemetry.instrumentation.mcp import McpInstrumentor

    McpInstrumentor().instrument(tracer_provider=providers(logs=False))


if __name__ == "__main__":
    run(mcp_tools.SCENARIOS, setup)
