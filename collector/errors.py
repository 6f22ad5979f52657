"""How the collector fails. Each class is a different decision for the sender, and str() of each is
a sentence that names the remedy."""

from __future__ import annotations

from typing import TypeVar

E = TypeVar("E", bound=BaseException)


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


def fresh(error: E) -> E:
    """The same error, to be raised in its place: what was raised holds the frames that it went through. Where these or others
    hold the error, as the result of a future say, all that is in the frames would stay in memory with it."""
    copy = error.__class__.__new__(error.__class__, *error.args)
    copy.__dict__.update(error.__dict__)
    return copy
