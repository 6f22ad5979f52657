"""Which records a viewer of the live tail wants to see."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, fields
from zlib import crc32

from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from collector.signals import Signal
from storage import data

_MODEL_SLOTS = ("request_model", "response_model", "model_name")
_MODEL_KEYS = frozenset(row["key"] for row in data.rows("aliases") if row["slot"] in _MODEL_SLOTS)


class BadFilter(ValueError):
    """str() names the query parameter and what it may be."""


@dataclass(frozen=True)
class Glance:
    """What a filter looks at of one span, log record or data point."""

    signal: Signal
    tenant: str
    service: str
    name: str
    is_error: bool
    trace_id: bytes
    attributes: Iterable[KeyValue]

    def models(self) -> list[str]:
        return [item.value.string_value for item in self.attributes if item.key in _MODEL_KEYS]


@dataclass(frozen=True)
class Filter:
    """Every field that is set must match. `name` is part of the name of a span, log event or metric, `model`
    part of a model's name; `sample` is a share of the traces, the same ones for every viewer."""

    tenant: str = ""
    signal: str = ""
    service: str = ""
    name: str = ""
    model: str = ""
    errors: bool = False
    sample: float = 1.0

    @classmethod
    def parse(cls, parameters: Iterable[tuple[str, str]]) -> Filter:
        """The filter that query parameters describe. Raises BadFilter."""
        query: dict[str, str] = {}
        for key, value in parameters:
            if key in query:
                raise BadFilter(f"{key[:40]} is given twice, and all filters must match. Watch once for each value.")
            query[key] = value
        known = [item.name for item in fields(cls)]
        unknown = sorted(set(query) - set(known))
        if unknown:
            raise BadFilter(f"{unknown[0][:40]} is no filter; there are {', '.join(known)}.")
        if query.get("signal", "") not in ("", *Signal):
            raise BadFilter(f"signal must be {', '.join(Signal)}.")
        if query.get("errors", "false") not in ("true", "false"):
            raise BadFilter("errors must be true or false.")
        texts = {key: value for key, value in query.items() if key not in ("errors", "sample")}
        return cls(**texts, errors=query.get("errors") == "true", sample=_share(query.get("sample", "1")))

    def wants(self, signal: Signal, tenant: str) -> bool:
        """Whether any record of a request can match."""
        return self.signal in ("", signal) and self.tenant in ("", tenant)

    def matches(self, record: Glance) -> bool:
        return (
            self.wants(record.signal, record.tenant)
            and self.service in ("", record.service)
            and self.name in record.name
            and (record.is_error or not self.errors)
            and (not self.model or any(self.model in model for model in record.models()))
            and (self.sample == 1.0 or _position(record.trace_id) < self.sample)
        )


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise BadFilter("sample must be a number above 0 and up to 1, such as 0.1 for a tenth.")
    return share


def _position(trace_id: bytes) -> float:
    return crc32(trace_id) / 2**32 if trace_id else random.random()
