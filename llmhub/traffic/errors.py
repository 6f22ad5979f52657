"""How traffic fails: each message names what to change.

TrafficError
├── WorldError       a world or fit file says something impossible
├── TraceFileError   a trace file cannot be read as one of the known formats
└── PlayerError      the endpoint does not take exports
"""


class TrafficError(Exception):
    """Base of every error that llmhub.traffic raises on purpose."""


class WorldError(TrafficError):
    """A world or fit file says something impossible."""


class TraceFileError(TrafficError):
    """A trace file cannot be read; the message gives file, line, cause and remedy."""


class PlayerError(TrafficError):
    """The endpoint refused or missed so many exports in a row that going on is pointless."""
