"""Made-up and recorded LLM traffic as OTLP exports, and the player that sends them.

What comes from real traces and what is assumption: docs/traffic.md.
"""

from llmhub.traffic.errors import PlayerError, TraceFileError, TrafficError, WorldError
from llmhub.traffic.exports import Export
from llmhub.traffic.generate import generate
from llmhub.traffic.player import Player
from llmhub.traffic.replay import replay, trace_duration
from llmhub.traffic.totals import Totals
from llmhub.traffic.world import World
from llmhub.traffic.world_file import default_world, parse_world

__all__ = [
    "Export",
    "Player",
    "PlayerError",
    "Totals",
    "TraceFileError",
    "TrafficError",
    "World",
    "WorldError",
    "default_world",
    "generate",
    "parse_world",
    "replay",
    "trace_duration",
]
