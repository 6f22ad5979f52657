"""What the two kinds of rewriting have in common for the run that carries them through."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from collector.rewrite.statements import Scope

Progress = Callable[[float], None]
"""Is called with the share of a part that is done, again and again. May raise to stop."""


@dataclass(frozen=True)
class Part:
    """One step of a run: a number that no other has, and the range that is changed at once."""

    rewrite: int
    scope: Scope


class Kind(Protocol):
    """How a part is worked out, and how it is carried through. Everything raises StoreError."""

    name: str

    def parts(self, scope: Scope) -> list[Scope]:
        """The parts of a range that hold anything, in order."""

    def prepare(self, part: Part, progress: Progress) -> None:
        """Work out what changes, without changing it. What an earlier attempt has left is thrown away."""

    def plan(self, part: Part) -> None:
        """Write into `llm_rewrite_totals` what `apply` would do."""

    def apply(self, part: Part) -> None:
        """Do it, and write what was done into `llm_rewrite_totals`. Doing so again, also after half of it, changes nothing more."""


def days(scope: Scope, starts: Iterable[int]) -> list[Scope]:
    """Of a range the days, in UTC, that begin at these instants (seconds since 1970)."""
    return [scope.clip(start, start + timedelta(days=1)) for start in map(_instant, starts)]


def months(scope: Scope, starts: Iterable[int]) -> list[Scope]:
    """The same for months."""
    return [scope.clip(start, (start + timedelta(days=31)).replace(day=1)) for start in map(_instant, starts)]


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
