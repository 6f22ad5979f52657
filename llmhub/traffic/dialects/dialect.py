"""What every dialect is: a function from a step to a span and the scope that would have made it."""

from collections.abc import Callable, Hashable
from typing import NamedTuple

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from llmhub.traffic.flows import Step, Trace
from llmhub.traffic.otlp import Scope, Value, key_values


class Encoded(NamedTuple):
    scope: Scope
    span: Span


class Dialect:
    """Base of the dialects. Keeps the attributes that repeat from span to span; not thread-safe."""

    def __init__(self) -> None:
        self._repeated: dict[Hashable, bytes] = {}

    def encode(self, trace: Trace, step: Step) -> Encoded:
        """The span of `step`. It belongs to the caller."""
        raise NotImplementedError

    def put_repeated(self, span: Span, key: Hashable, build: Callable[[], dict[str, Value | None]]) -> None:
        """Adds the attributes that `build` gives; it is called once for each `key`."""
        known = self._repeated.get(key)
        if known is None:
            known = self._repeated[key] = Span(attributes=key_values(build())).SerializeToString()
        # Parsing these bytes is several times faster than copying the messages.
        span.MergeFromString(known)
