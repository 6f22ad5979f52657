"""What a receiver needs from the rest of the hub, and how it refuses a request by itself."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from collector.errors import HubError
from collector.pipeline import Acknowledgement, Signal


class Intake(Protocol):
    """Where requests go. `collector.pipeline.Pipeline` is one."""

    async def submit(self, signal: Signal, tenant: str, body: bytes, *, until_stored: bool = False) -> Acknowledgement:
        """Take one protobuf Export*ServiceRequest; return when it is safe, or only after its commit. Raises HubError."""
        ...

    def refused(self, signal: str, reason: str) -> None:
        """Count a request that was refused before it could be submitted; `signal` is a Signal or EVENTS, `reason` a
        Refusal."""
        ...


class DeadLetterSink(Protocol):
    """Where a receiver leaves what it cannot even submit and nobody will send again, such as a message from a queue."""

    async def dead_letter(self, signal: Signal, tenant: str, body: bytes, reason: str) -> None:
        """Keep the bytes as they came; return when they are safe. Raises Overloaded or Unavailable."""
        ...


class TenantResolver(Protocol):
    """Says whose data a request carries."""

    def resolve(self, headers: Mapping[str, str]) -> str:
        """The tenant of a request with these headers (gRPC: metadata); names are in lower case. Raises HubError."""
        ...


class SingleTenant:
    """Every request belongs to the one configured tenant, whatever its headers say."""

    def __init__(self, tenant: str = "default") -> None:
        self._tenant = tenant

    def resolve(self, headers: Mapping[str, str]) -> str:
        return self._tenant


class Refusal(StrEnum):
    """Why a receiver refused a request; also the `reason` label of the metric, so the set stays small."""

    TOO_LARGE = "too_large"
    BAD_ENCODING = "bad_encoding"
    BAD_JSON = "bad_json"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TIMEOUT = "body_timeout"
    NO_ROOM = "no_room"


# Seconds after which the same bytes may well be taken.
_RETRY_AFTER = {Refusal.NO_ROOM: 1.0}


class Refused(HubError):
    """A receiver's own refusal. `field` is the JSON path of the culprit, '' when there is none; `retry_after` is in
    seconds, None when sending the same bytes again is of no use."""

    def __init__(self, reason: Refusal, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = _RETRY_AFTER.get(reason)
        self.field = field
