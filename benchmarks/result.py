"""What a measurement is, and how it is shown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.load import Sent


@dataclass(frozen=True)
class Limit:
    """How long one measurement lasts: `seconds`, or until `spans` are sent if that is not 0.

    `rotel_batch` is the most spans in one of rotel's inserts; 0: as much as the hub may put into one of its own. With a `rate`
    so many spans a second are sent for `seconds`, whatever is answered.
    """

    seconds: float
    spans: int
    rotel_batch: int = 0
    rate: float = 0.0

    def task(self) -> dict[str, float]:
        if self.rate:
            return {"seconds": self.seconds, "rate": self.rate}
        return {"spans": self.spans} if self.spans else {"seconds": self.seconds}

    def warm_up(self) -> Limit:
        return Limit(max(2.0, self.seconds / 4), 0, rate=self.rate)


@dataclass(frozen=True)
class Result:
    """One way on one workload. Times are seconds, latencies milliseconds, CPU microseconds a stored span.

    `cpu` names each process that the way consists of; the load generator is not among them.
    """

    workload: str
    way: str
    sent: Sent
    committed: int
    calls: int
    commit_seconds: float
    cpu: dict[str, float]
    peak_rss: dict[str, int]
    disk: dict[str, float]
    merge_seconds: float
    notes: tuple[str, ...] = ()

    @property
    def cpu_total(self) -> float:
        return sum(self.cpu.values())

    @property
    def problem(self) -> str:
        """What makes the figures worthless, '' if nothing does."""
        if self.sent.failures:
            return f"exports failed: {self.sent.failures}"
        if self.committed != self.sent.spans:
            return f"{self.sent.spans} spans were acknowledged and {self.committed} are in otel_traces"
        if self.calls != self.committed:
            return f"{self.committed} spans are model calls and {self.calls} are in llm_calls"
        return ""


def heading(facts: dict[str, str], limit: Limit) -> str:
    length = f"{limit.spans} spans" if limit.spans else f"{limit.seconds:g} s"
    return ", ".join(f"{name} {value}" for name, value in facts.items()) + f"\n{length} a measurement"


def lines(result: Result) -> Iterator[str]:
    sent, disk = result.sent, result.disk
    size = f"{sent.spans:,} spans, {sent.bytes / 1e6:,.0f} MB"
    yield f"  {result.way}" + (f"   NOT VALID: {result.problem}" if result.problem else "")
    yield _line("acknowledged", f"{sent.spans / sent.seconds:,.0f}", "spans/s", size)
    yield _line(
        "committed", f"{result.committed / result.commit_seconds:,.0f}", "spans/s", f"{result.committed:,} counted"
    )
    yield _line("CPU", f"{result.cpu_total:.1f}", "us/span", _sum({k: f"{v:.1f}" for k, v in result.cpu.items()}))
    if result.way not in ("naive", "native"):
        yield _line("ack latency", f"{sent.latency_p50:,.0f}", "ms p50", f"{sent.latency_p99:,.0f} ms p99")
        cpu = sent.cpu_seconds * 1e6 / max(1, sent.spans)
        yield _line("generator", f"{cpu:.1f}", "us/span", "not in the CPU above")
    memory = {name: f"{value / 1e6:,.0f}" for name, value in result.peak_rss.items()}
    yield _line("peak RSS", f"{sum(result.peak_rss.values()) / 1e6:,.0f}", "MB", _sum(memory))
    yield from (f"    {note}" for note in result.notes)
    yield _line("on disk", f"{disk['all tables']:.0f}", "bytes/span", f"otel_traces {disk['otel_traces']:.0f}")


def _line(name: str, figure: str, unit: str, note: str) -> str:
    return f"    {name:<13}{figure:>10} {unit:<11}({note})"


def _sum(parts: dict[str, str]) -> str:
    return " + ".join(f"{name} {part}" for name, part in parts.items())


def ratios(results: Sequence[Result]) -> str:
    """CPU of the other ways in multiples of the hub's; '' when there is nothing to compare."""
    hub = next((result for result in results if result.way == "hub"), None)
    others = [result for result in results if result.way != "hub"]
    if hub is None or not others:
        return ""
    told = ", ".join(f"{result.way} {result.cpu_total / hub.cpu_total:.2f}" for result in others)
    return f"  CPU a stored span in multiples of the hub's: {told}"


def write_json(path: Path, facts: dict[str, str], results: Sequence[Result]) -> None:
    told = [asdict(result) | {"cpu_total": result.cpu_total, "problem": result.problem} for result in results]
    path.write_text(json.dumps({"environment": facts, "results": told}, indent=1) + "\n")
