"""The circuit breaker and the retries between the collector and the store.

Closed: inserts go through, a failing one is tried again after a short random wait. After `failures` failures in a row it
opens: nothing is sent to the store for `recovery_seconds`, then one insert is let through (half-open), which decides.
M. Nygard, Release It!, 2nd ed., chapter 5.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from circuitbreaker import STATE_CLOSED, STATE_HALF_OPEN, STATE_OPEN, CircuitBreaker
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from collector.errors import fresh
from collector.failures import Failure, classify, describe
from storage.store import StoreError

log = logging.getLogger(__name__)

STATES = (STATE_CLOSED, STATE_HALF_OPEN, STATE_OPEN)
_ATTEMPTS = 3
_FIRST_WAIT_SECONDS = 0.1
_MAX_WAIT_SECONDS = 2.0


def _is_failure(kind: type[BaseException], error: BaseException) -> bool:
    """Bad data is no failure of the store: it has answered."""
    return not (isinstance(error, StoreError) and classify(error) is Failure.BAD_DATA)


class Breaker:
    """Thread-safe. Whoever calls `call` has looked at `state`: open means that it should not."""

    def __init__(self, failures: int = 5, recovery_seconds: float = 5.0) -> None:
        self._circuit: Any = CircuitBreaker(failures, recovery_seconds, _is_failure, name="store")
        self._retrying = Retrying(
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(multiplier=_FIRST_WAIT_SECONDS, max=_MAX_WAIT_SECONDS),
            retry=retry_if_exception(self._worth_another_try),
            reraise=True,
        )
        self.recovery_seconds = recovery_seconds

    @property
    def state(self) -> str:
        """One of STATES."""
        return str(self._circuit.state)

    @property
    def is_open(self) -> bool:
        return self.state == str(STATE_OPEN)

    @property
    def is_closed(self) -> bool:
        return self.state == str(STATE_CLOSED)

    @property
    def last_error(self) -> str:
        """What made the breaker open, '' while it is closed, in words that quote nothing of the data."""
        last = self._circuit.last_failure
        if self.state == STATE_CLOSED or last is None:
            return ""
        return describe(last) if isinstance(last, StoreError) else str(last)

    def call(self, insert: Callable[[], None]) -> None:
        """Run `insert`, again where that may help. Raises what the last attempt raised."""
        try:
            self._retrying(self._once, insert)
        except StoreError as error:
            # Retrying and circuit keep it: without the frames that it went through, which hold the batch.
            error.__traceback__ = error.__cause__ = error.__context__ = None
            raise fresh(error) from None

    def _once(self, insert: Callable[[], None]) -> None:
        with self._circuit:
            insert()

    def _worth_another_try(self, error: BaseException) -> bool:
        transient = isinstance(error, StoreError) and classify(error) is Failure.TRANSIENT
        return transient and self.is_closed
