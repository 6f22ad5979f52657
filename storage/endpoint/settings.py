"""Who may use the endpoint, and how much of it."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class EndpointUser:
    """One user. Give `password` or `password_sha256` (hex), not both; read-only unless told otherwise.

    Raises ValueError for a digest that is none, and for a `tenant`: the embedded engine has no row policies,
    and serving such a user everybody's rows would be worse than refusing.
    """

    name: str
    password: str = field(default="", repr=False)
    password_sha256: str = field(default="", repr=False)
    tenant: str | None = None
    readonly: bool = True

    def __post_init__(self) -> None:
        if self.password and self.password_sha256:
            raise ValueError(f"user {self.name!r}: set password or password_sha256, not both")
        if self.password_sha256 and not _SHA256.match(self.password_sha256):
            raise ValueError(f"user {self.name!r}: password_sha256 must be 64 lower-case hexadecimal digits")
        if self.tenant is not None:
            raise ValueError(
                f"user {self.name!r}: the embedded store cannot confine a user to a tenant; "
                "remove tenant, or use a ClickHouse server with row policies"
            )

    @property
    def digest(self) -> bytes:
        return bytes.fromhex(self.password_sha256) if self.password_sha256 else _sha256(self.password)


@dataclass(frozen=True)
class EndpointSettings:
    """Without `users`, the user `default` with an empty password may read: meant for loopback only."""

    users: tuple[EndpointUser, ...] = ()
    display_name: str = "llmhub"
    max_body_bytes: int = 128 << 20  # of a request, as sent and again after decompression
    max_body_seconds: float = 60.0  # to receive it
    max_concurrency: int = 8  # requests that are received or run at the same time
    max_waiting: int = 256  # requests that may queue for one of those places
    max_wait_seconds: float = 10.0

    def authenticate(self, name: str, password: str) -> EndpointUser | None:
        """The user, or None. Takes the same time for an unknown name as for a wrong password."""
        given = _sha256(password)
        found = None
        for user in self.users or (EndpointUser("default"),):
            same_name = hmac.compare_digest(user.name.encode(), name.encode())
            if hmac.compare_digest(user.digest, given) and same_name:
                found = user
        return found


def _sha256(password: str) -> bytes:
    return hashlib.sha256(password.encode()).digest()
