"""What the provider answered: the truth that a recording is compared with.

Every call has token counts of its own, each unlike all others, so that a count that lands in a wrong column,
in a wrong call or in two calls shows.
"""

from __future__ import annotations

import threading
import uuid
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Call:
    """One request that the provider received. Tokens are inclusive; `status` is what went over the wire."""

    provider: str
    operation: str
    request_model: str
    response_model: str
    response_id: str
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    streaming: bool = False
    finish: str = "stop"
    status: int = 200
    error_class: str = ""
    usage_sent: bool = True
    tools: list[str] = field(default_factory=list)


@dataclass
class Ledger:
    """Thread-safe."""

    calls: list[Call] = field(default_factory=list)
    tools_asked: dict[str, str] = field(default_factory=dict)
    tools_run: list[dict[str, str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, provider: str, operation: str, model: str, prefix: str, **told: Any) -> Call:
        with self._lock:
            step = len(self.calls)
            embedding = operation == "embeddings"
            call = Call(
                provider,
                operation,
                request_model=model,
                response_model=model,
                response_id="" if embedding or provider == "aws.bedrock" else f"{prefix}{uuid.uuid4().hex[:20]}",
                input_tokens=3120 + 10 * step,
                cached_input_tokens=0 if embedding else 1280 + step,
                cache_write_tokens=0 if embedding or provider not in {"anthropic", "aws.bedrock"} else 520 + step,
                output_tokens=0 if embedding else 742 + step,
                reasoning_tokens=256 + step if provider in {"openai", "gcp.gemini"} and not embedding else 0,
                **told,
            )
            self.calls.append(call)
            return call

    def retried(self) -> None:
        """The SDK sends the last request again: what it sees as one call is one."""
        with self._lock:
            self.calls.pop()

    def asked(self, call: Call, tools: dict[str, str]) -> None:
        """The model asks for tools, by id."""
        with self._lock:
            call.tools, call.finish = list(tools.values()), "tool_call"
            self.tools_asked.update(tools)

    def ran(self, call_id: str) -> None:
        """A tool's result came with a later request."""
        with self._lock:
            tool = {"id": call_id, "name": self.tools_asked.get(call_id, "")}
            if tool not in self.tools_run:
                self.tools_run.append(tool)

    def truth(self) -> dict[str, Any]:
        with self._lock:
            return {"calls": [asdict(call) for call in self.calls], "tools": list(self.tools_run)}
