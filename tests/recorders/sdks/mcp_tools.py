"""The MCP SDK's own spans, client and server in one process."""

import asyncio

from common import providers, run
from mcp.client.client import Client
from mcp.server.mcpserver import MCPServer

server = MCPServer("weather")


@server.tool()
def get_weather(city: str) -> str:
    """The weather of a city."""
    if city == "Nowhere":
        raise ValueError("no such city")
    return f"sunny in {city}"


async def _call(city):
    async with Client(server) as client:
        await client.list_tools()
        await client.call_tool("get_weather", {"city": city})


SCENARIOS = {"tool": lambda: asyncio.run(_call("Paris")), "error_tool": lambda: asyncio.run(_call("Nowhere"))}

if __name__ == "__main__":
    run(SCENARIOS, lambda name: providers(logs=False))
