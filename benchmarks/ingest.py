"""What does a stored span cost, and how many a second fit: the hub, rotel, the naive way and Native blocks on one engine.

    python benchmarks/ingest.py                      # every workload, every way, 10 s each
    python benchmarks/ingest.py --workload large --seconds 30 --skip-rotel --json result.json

benchmarks/README.md says what is measured and how. Needs Linux (/proc) and the dependency group `bench`.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from urllib.error import URLError

from benchmarks.inserts import batch_requests, measure_naive, measure_native
from benchmarks.load import WORKLOADS, Workload
from benchmarks.processes import (
    BenchmarkError,
    Generator,
    Hub,
    Watched,
    fresh_directory,
    generator,
    measure,
    rotel_version,
    running_hub,
    running_rotel,
    wait_for,
)
from benchmarks.result import Limit, Result, heading, lines, ratios, write_json


def measure_hub(workload: Workload, limit: Limit) -> Result:
    with fresh_directory() as directory, running_hub(directory) as hub, generator(hub.otlp_grpc, workload) as load:
        return _measure("hub", workload, limit, load, hub, [hub.process])


def measure_rotel(workload: Workload, limit: Limit) -> Result:
    batch_spans = limit.rotel_batch or batch_requests(workload) * workload.spans
    with (
        fresh_directory() as directory,
        running_hub(directory) as hub,
        running_rotel(hub, directory, batch_spans) as (address, rotel),
        generator(address, workload) as load,
    ):
        result = _measure("rotel", workload, limit, load, hub, [rotel, replace(hub.process, name="engine")])
        return replace(result, notes=tuple(_complaints(directory / "rotel.log")))


def _complaints(log: Path) -> Iterator[str]:
    """What rotel logged of inserts that it gave up or repeated; the engine's work for them is in its CPU."""
    told = [re.sub(r"\x1b\[\d*m", "", line) for line in log.read_text().splitlines()]
    if retries := sum("will retry" in line for line in told):
        yield f"rotel repeated {retries} inserts, warm-up included: after 5 s it takes one for failed"
    yield from [line for line in told if " ERROR " in line or " WARN " in line][-3:]


def _measure(
    way: str, workload: Workload, limit: Limit, load: Generator, hub: Hub, processes: Sequence[Watched]
) -> Result:
    """Warm up, then measure."""
    warm = load.send(limit.warm_up())
    wait_for(hub.rows, warm.spans)
    return measure(way, workload, hub.rows, processes, lambda: load.send(limit))


WAYS = {"hub": measure_hub, "rotel": measure_rotel, "naive": measure_naive, "native": measure_native}


def run(workload: Workload, limit: Limit, ways: Sequence[str]) -> list[Result]:
    size = f", {workload.prompt_bytes} byte prompts" if workload.prompt_bytes else ""
    print(f"\n{workload.name}: {workload.spans} spans a request{size}, {workload.outstanding} requests under way")
    results = []
    for way in ways:
        results.append(WAYS[way](workload, limit))
        print("\n".join(lines(results[-1])), flush=True)
    print(ratios(results), flush=True)
    return results


def environment() -> dict[str, str]:
    """What the figures depend on beside the code."""
    names = ("chdb", "chdb-core", "grpcio", "protobuf")
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": processor[1] if processor else platform.machine(),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def main() -> int:
    arguments = _arguments()
    limit = Limit(arguments.seconds, arguments.spans, arguments.rotel_batch, arguments.rate)
    ways = [way for way in WAYS if not getattr(arguments, f"skip_{way}")]
    facts = environment() | ({"rotel": rotel_version()} if "rotel" in ways else {})
    print(heading(facts, limit))
    results: list[Result] = []
    for name in arguments.workload or WORKLOADS:
        workload = WORKLOADS[name]
        workload = replace(workload, outstanding=arguments.outstanding or workload.outstanding)
        results += run(workload, limit, ways)
    if arguments.json:
        write_json(arguments.json, facts, results)
    return 1 if any(result.problem for result in results) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workload", action="append", choices=list(WORKLOADS), help="may be repeated; default: all")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of one measurement")
    parser.add_argument("--spans", type=int, default=0, help="send that many instead of --seconds")
    parser.add_argument(
        "--rate", type=float, default=0.0, help="spans a second, whatever is answered; not for naive, native"
    )
    parser.add_argument("--outstanding", type=int, default=0, help="requests under way; default: as the workload says")
    parser.add_argument("--rotel-batch", type=int, default=0, help="spans in rotel's inserts; default: as the hub's")
    for way in WAYS:
        parser.add_argument(f"--skip-{way}", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BenchmarkError, URLError) as error:
        sys.exit(f"benchmark: {error}")
