"""OpenLLMetry on the first version of the MCP SDK, client and server in one process."""

import asyncio

from common import providers, run


def setup(name):
    from opentelemetry.instrumentation.mcp import McpInstrumentor

    McpInstrumentor().instrument(tracer_provider=providers(logs=False))


async def _call(city):
    from mcp.server.fastmcp import FastMCP
    from mcp.shared.memory import create_connected_server_and_client_session

    server = FastMCP("weather")

    @server.tool()
    def get_weather(city: str) -> str:
        """The weather of a city."""
        if city == "Nowhere":
            raise ValueError("no such city")
        return f"sunny in {city}"

    async with create_connected_server_and_client_session(server._mcp_server) as client:
        await client.list_tools()
        await client.call_tool("get_weather", {"city": city})


SCENARIOS = {"tool": lambda: asyncio.run(_call("Paris")), "error_tool": lambda: asyncio.run(_call("Nowhere"))}

if __name__ == "__main__":
    run(SCENARIOS, setup)
