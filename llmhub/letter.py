"""A dead letter's request for people to read."""

from __future__ import annotations

import base64
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from collector.protobuf import explain
from collector.signals import REQUESTS, Signal

_DUMPED_BYTES = 1024
_LINE_BYTES = 32
_ID_KEYS = ("traceId", "spanId", "parentSpanId")


def readable(signal: Signal, body: bytes) -> dict[str, Any]:
    """`request`: the request as OTLP/JSON has it; or, when it is none, `broken`: where it stops being one, `dump`: its
    beginning in hexadecimal, and `base64`: all of it."""
    try:
        return {
            "request": _with_hexadecimal_ids(
                MessageToDict(REQUESTS[signal].FromString(body), use_integers_for_enums=True)
            )
        }
    except (DecodeError, ValueError) as error:
        broken = explain(body, REQUESTS[signal]) or str(error)
        return {"broken": broken, "dump": _dump(body), "base64": base64.b64encode(body).decode()}


def _with_hexadecimal_ids(node: Any) -> Any:
    """The one place where OTLP/JSON is not protobuf's JSON: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding"""
    if isinstance(node, list):
        return [_with_hexadecimal_ids(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: base64.b64decode(value).hex() if key in _ID_KEYS else _with_hexadecimal_ids(value)
        for key, value in node.items()
    }


def _dump(body: bytes) -> str:
    shown = body[:_DUMPED_BYTES]
    lines = [f"{at:06x}  {shown[at : at + _LINE_BYTES].hex(' ', 4)}" for at in range(0, len(shown), _LINE_BYTES)]
    rest = [f"and {len(body) - len(shown)} bytes more; --raw FILE writes them all"] if len(body) > len(shown) else []
    return "\n".join([*lines, *rest])
