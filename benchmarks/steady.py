"""Does a hub stay as it is under a steady load: acknowledgements, memory and parts, window by window.

    python benchmarks/steady.py --rate 20000 --minutes 10

The exit code is 1 when the p99 of the acknowledgements of a window is above --p99, an export failed, or spans are missing.
benchmarks/README.md has results.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

from benchmarks.load import WORKLOADS, Sent
from benchmarks.processes import Hub, fresh_directory, generator, running_hub, stored_rows, wait_for
from benchmarks.result import Limit


@dataclass(frozen=True)
class Window:
    """What was sent, and the hub after it: bytes, active parts of all tables, CPU seconds since its start."""

    sent: Sent
    rss: int
    parts: int
    cpu_seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", choices=list(WORKLOADS), default="large")
    parser.add_argument("--rate", type=float, required=True, help="spans a second")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--window", type=float, default=30.0, help="seconds that a line is about")
    parser.add_argument("--p99", type=float, default=1000.0, help="milliseconds")
    options = parser.parse_args()
    windows: list[Window] = []
    workload = WORKLOADS[options.workload]
    with fresh_directory() as directory, running_hub(directory) as hub, generator(hub.otlp_grpc, workload) as load:
        load.send(Limit(10.0, 0, rate=options.rate))
        before = stored_rows(hub.rows)[0]
        print("  minute   spans/s   p50 ms   p99 ms   RSS MB   parts   CPU us/span", flush=True)
        for number in range(round(options.minutes * 60 / options.window)):
            used = hub.process.cpu_seconds()
            window = look(hub, load.send(Limit(options.window, 0, rate=options.rate)))
            windows.append(window)
            show((number + 1) * options.window / 60, window, used)
        sent = sum(window.sent.spans for window in windows)
        wait_for(hub.rows, before + sent)
        stored = stored_rows(hub.rows)[0] - before
    return verdict(windows, sent, stored, options.p99)


def look(hub: Hub, sent: Sent) -> Window:
    parts = hub.rows("SELECT count() AS parts FROM system.parts WHERE active AND database = 'llm'")[0]["parts"]
    return Window(sent, hub.process.rss(), int(parts), hub.process.cpu_seconds())


def show(minute: float, window: Window, used: float) -> None:
    sent = window.sent
    print(
        f"{minute:8.1f} {sent.spans / sent.seconds:9,.0f} {sent.latency_p50:8,.0f} {sent.latency_p99:8,.0f} "
        f"{window.rss / 1e6:8,.0f} {window.parts:7} {(window.cpu_seconds - used) * 1e6 / max(1, sent.spans):13.1f}",
        flush=True,
    )


def verdict(windows: list[Window], sent: int, stored: int, p99: float) -> int:
    slowest = max(window.sent.latency_p99 for window in windows)
    failures = [window.sent.failures for window in windows if window.sent.failures]
    print(
        f"{sent:,} spans acknowledged, {stored:,} stored; slowest p99 {slowest:,.0f} ms; failures: {failures or 'none'}"
    )
    # The hub sends itself a span a minute.
    return int(bool(failures) or stored < sent or slowest > p99)


if __name__ == "__main__":
    sys.exit(main())
