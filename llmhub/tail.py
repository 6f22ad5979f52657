"""`llmhub tail`: what the running hub stores, in a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from rich.console import Console
from rich.text import Text
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import connect

from collector.errors import Unavailable
from llmhub.console import printable
from llmhub.running_hub import reachable

_MAX_MESSAGE_BYTES = 64 << 20
_FACTS = (
    "gen_ai.response.model",
    "gen_ai.request.model",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "error.type",
)


def watch(listen: str, query: Mapping[str, str], *, as_json: bool, count: int | None) -> None:
    """Print records to standard output until `count` of them are there or the user has seen enough. What was missed
    goes to standard error. Raises Unavailable when there is no hub, it refuses or it goes."""
    out, err = Console(soft_wrap=True, highlight=False), Console(stderr=True, highlight=False)
    left = count
    with suppress(KeyboardInterrupt):
        for message in _messages(listen, query):
            record = json.loads(message)
            if "ServiceName" not in record:
                err.print(_missed(record), markup=False)
                continue
            if as_json:
                print(message, flush=True)
            else:
                out.print(_line(record))
            left = None if left is None else left - 1
            if left == 0:
                return


def _messages(listen: str, query: Mapping[str, str]) -> Iterator[str]:
    address = reachable(listen, "api.listen")
    parameters = urlencode({key: value for key, value in query.items() if value})
    try:
        # A proxy from the environment has no business between a machine and itself.
        with connect(f"ws://{address}/v1/tail?{parameters}", max_size=_MAX_MESSAGE_BYTES, proxy=None) as socket:
            for message in socket:
                yield str(message)
    except InvalidStatus as error:
        text = (error.response.body or b"").decode(errors="replace").strip()
        raise Unavailable(text or f"{address} answers with HTTP {error.response.status_code}.", 0) from None
    except ConnectionClosed as error:
        raise Unavailable(f"The hub at {address} has closed the connection: {error}.", 0) from None
    except (OSError, WebSocketException) as error:
        raise Unavailable(
            f"No hub answers at {address}: {error}. Start one with `llmhub up`, or set api.listen to where it is.", 0
        ) from None
    raise Unavailable(f"The hub at {address} has gone.", 0)


def _missed(counts: Mapping[str, Any]) -> str:
    told = ", ".join(f"{printable(str(count))} {printable(name.replace('_', ' '))}" for name, count in counts.items())
    return f"missed: {told} (too much for this viewer; filter, or take a sample)"


def _line(record: Mapping[str, Any]) -> Text:
    """One line: time, service, name, and the facts that one looks for first."""
    failed = record.get("StatusCode") == "Error" or record.get("SeverityNumber", 0) >= 17
    time = str(record.get("Timestamp") or record.get("TimeUnix"))[11:23]
    name = record.get("SpanName") or record.get("MetricName") or record.get("EventName") or record.get("SeverityText")
    line = Text()
    line.append(f"{printable(time):<12} ", "dim")
    line.append(f"{printable(record['ServiceName'])} ", "cyan")
    line.append(f"{printable(name or '')} ", "bold red" if failed else "bold")
    line.append(printable(" ".join(_details(record))))
    return line


def _details(record: Mapping[str, Any]) -> Iterator[str]:
    attributes = record.get("SpanAttributes") or record.get("LogAttributes") or record.get("Attributes") or {}
    if "Duration" in record:
        yield f"{record['Duration'] / 1e9:.3f} s"
    for name in ("Value", "Count", "Body", "StatusMessage"):
        if record.get(name) not in (None, ""):
            yield str(record[name])
    for key in _FACTS:
        if key in attributes:
            yield f"{key.rpartition('.')[2]}={attributes[key]}"
