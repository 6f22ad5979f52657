"""How the collector fails. Each class is a different decision for the sender, and str() of each is
a sentence that names the remedy."""

from __future__ import annotations


class HubError(Exception):
    """Base of every error that is meant for the sender's eyes."""


class InvalidRequest(HubError):
    """The same bytes can never be accepted. Do not send them again."""


class Overloaded(HubError):
    """The hub takes no more for now. Send the same bytes again after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(HubError):
    """The hub or its store is away. Send the same bytes again after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after
