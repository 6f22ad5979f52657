"""What does normalisation cost: all of it as a share of an insert, and its look-ups beside the naive form.

    python benchmarks/normalise.py
    python benchmarks/normalise.py --spans 40960 --rounds 9

benchmarks/README.md says what is measured and has results.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.load import WORKLOADS, Requests
from collector.envelope import Envelope, wrap
from collector.signals import Signal
from storage import data, reference, schema
from storage.embedded import EmbeddedStore
from storage.sql import statement
from tests.collector.direct import store_whole

WORKLOAD = WORKLOADS["large"]
# What hangs on otel_traces: without the first of them nothing is normalised.
VIEWS = ("llm_spans_mv",)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=20_480, help="in one insert")
    parser.add_argument("--rounds", type=int, default=7, help="of which the fastest counts")
    options = parser.parse_args()
    with fresh_store() as store:
        insert_cost(store, options.spans, options.rounds)
        look_up_cost(store, options.rounds)


@contextmanager
def fresh_store() -> Iterator[EmbeddedStore]:
    with tempfile.TemporaryDirectory() as directory:
        store = EmbeddedStore(Path(directory) / "store")
        schema.apply(store)
        reference.load(store)
        store.execute("SYSTEM STOP MERGES")
        yield store
        store.close()


def insert_cost(store: EmbeddedStore, spans: int, rounds: int) -> None:
    batches = batches_of(spans // WORKLOAD.spans)
    few = batches_of(1)
    whole = fastest(lambda: store_whole(store, next(batches)), rounds) / spans
    fixed = fastest(lambda: store_whole(store, next(few)), rounds)
    for view in VIEWS:
        store.execute(f"DROP VIEW {view}")
    without = fastest(lambda: store_whole(store, next(batches)), rounds) / spans
    fixed_without = fastest(lambda: store_whole(store, next(few)), rounds)
    print(f"an insert of {spans} spans          {whole * 1e6:6.1f} us CPU a span")
    print(f"  without normalisation         {without * 1e6:6.1f} us CPU a span")
    print(f"  share of normalisation        {100 * (1 - without / whole):6.1f} %")
    print(
        f"an insert of {WORKLOAD.spans} spans            {fixed * 1e3:6.1f} ms CPU, {fixed_without * 1e3:.1f} without"
    )


def look_up_cost(store: EmbeddedStore, rounds: int) -> None:
    """The look-ups alone, over the spans that are stored, into nothing."""
    (row,) = store.rows("SELECT count() AS n, avg(length(SpanAttributes)) AS attributes FROM otel_traces")
    source = "(SELECT *, SpanAttributes AS attributes FROM otel_traces)"
    slots = statement("fragments/slots", database=store.database)
    forms = {
        "one look-up an attribute": f"SELECT {slots} AS slots FROM {source}",
        "one look-up an alias (naive)": f"SELECT {', '.join(naive_columns())} FROM otel_traces",
    }
    # A view has its block in memory; a table would be read once for each key that is looked up.
    settings = "FORMAT Null SETTINGS optimize_functions_to_subcolumns = 0"
    seconds = {name: fastest(partial(store.execute, f"{sql} {settings}"), rounds) for name, sql in forms.items()}
    print(f"look-ups over {row['n']} spans of {row['attributes']:.0f} attributes")
    for name, took in seconds.items():
        print(f"  {name:<29} {took / row['n'] * 1e6:7.2f} us CPU a span, {row['n'] / took:9,.0f} spans/s")
    first, second = seconds.values()
    print(f"  the naive form takes {second / first:.1f} times as long")


def naive_columns() -> Iterator[str]:
    """For each slot the first of its keys that is there, each looked for in the map of the span."""
    keys = defaultdict(list)
    for row in data.rows("aliases"):
        keys[row["slot"]].append(row["key"])
    for slot, names in keys.items():
        values = ", ".join(f"SpanAttributes['{name}']" for name in names)
        yield f"arrayFirst(value -> value != '', [{values}]) AS `{slot}`"


def batches_of(requests: int) -> Iterator[list[Envelope]]:
    bodies, numbers = iter(Requests(WORKLOAD)), itertools.count(time.time_ns())
    while True:
        now = time.time_ns()
        yield [
            wrap(Signal.TRACES, "bench", bytes(next(bodies)), request_id=next(numbers), received_ns=now)
            for _ in range(requests)
        ]


def fastest(work: Callable[[], object], rounds: int) -> float:
    """CPU seconds of the process."""

    def once() -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    return min(once() for _ in range(rounds + 1))


if __name__ == "__main__":
    main()
