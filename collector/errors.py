"""How the collector fails. Each class is a different decision for the sender, and str() of each is
a sentence that names the remedy."""

from __future__ import annotations


class HubError(Exception):
    """Base of every error that is meant for the sender's eyes."""

    outcome = "failed"
    """Its name in metrics and in the ledger."""


class InvalidRequest(HubError):
    """The same bytes can never be accepted. Do not send them again."""

    outcome = "invalid"


class DeadLettered(InvalidRequest):
    """The same, and the hub keeps the bytes as a dead letter: nobody else needs to."""


class Overloaded(HubError):
    """The hub takes no more for now. Send the same bytes again after `retry_after` seconds."""

    outcome = "overloaded"

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(HubError):
    """The hub or its store is away. Send the same bytes again after `retry_after` seconds."""

    outcome = "unavailable"

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after
