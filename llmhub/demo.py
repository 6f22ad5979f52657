"""The demo: recorded SDK exports and made-up traffic, sent through the hub's own gRPC port."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from llmhub.config import Config
from llmhub.console import Table, progress, show, tell
from llmhub.hub import Addresses, Hub
from llmhub.traffic.errors import PlayerError
from llmhub.traffic.generate import generate
from llmhub.traffic.player import Player
from llmhub.traffic.replay import replay
from llmhub.traffic.totals import Totals
from llmhub.traffic.world_file import default_world
from receivers.files import read_exports
from storage.store import Store

SEED = 20_231_116
_BACKFILL_WAIT = 1800.0
_IN_FLIGHT = 32
_ANSWERS = """
SELECT model, sum(calls) AS calls, sum(input_tokens) AS input, sum(output_tokens) AS output, sum(cost) AS usd,
    arrayMap(ms -> ms / 1000, quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(duration_ms))[2] AS p95, sum(errors) AS failed
FROM llm_calls_1m GROUP BY model ORDER BY calls DESC LIMIT 12
"""


_EXAMPLE = "SELECT service, count() AS calls, sum(cost) AS usd FROM llm_calls GROUP BY service ORDER BY calls DESC"


@contextmanager
def temporary_store(config: Config, *, keep: bool) -> Iterator[Config]:
    """`config` on a store that goes away afterwards, or as it is when the data is to be kept."""
    if keep:
        yield config
        return
    with tempfile.TemporaryDirectory(prefix="llmhub-demo-") as directory:
        yield config.with_dsn(f"chdb://{directory}/store")


class Demo:
    """Plays into a running hub: the past as fast as it is acknowledged, then the present as it comes."""

    def __init__(self, config: Config, out: Console, *, days: float, rate: float, seconds: float | None) -> None:
        self._config = config
        self._out = out
        self._days = days
        self._rate = rate
        self._seconds = seconds
        self._stop = threading.Event()

    async def run(self, hub: Hub, addresses: Addresses) -> None:
        """Returns after `seconds`, or when cancelled."""
        await self._ingest_recordings(hub)
        now = datetime.now(UTC)
        with Player(addresses.otlp_grpc, in_flight=_IN_FLIGHT) as player:
            try:
                totals = await asyncio.to_thread(self._backfill, player, now)
                self._out.print(f"{totals.calls} calls of the last {self._days:g} days sent as {totals.spans} spans")
                show(await asyncio.to_thread(answers, hub.store), self._out)
                tell("Ask for more, in another terminal:")
                tell(f'  {_program()} --store {self._config.storage.dsn} query "{_EXAMPLE}"')
                tell("Live traffic follows. Stop with Ctrl-C.")
                async with asyncio.timeout(self._seconds):
                    await asyncio.to_thread(self._live, player, now)
            except TimeoutError:
                pass
            finally:
                self._stop.set()

    async def _ingest_recordings(self, hub: Hub) -> None:
        files = recordings()
        requests = [request for file in files for request in read_exports(file)]
        tenant = self._config.receivers.tenant
        await asyncio.gather(*(hub.pipeline.submit(signal, tenant, body) for signal, body in requests))
        kits = {file.parent.name for file in files}
        self._out.print(f"{len(requests)} recorded exports of {len(kits)} SDK set-ups stored")

    def _backfill(self, player: Player, now: datetime) -> Totals:
        start = now - timedelta(days=self._days)
        exports = generate(
            default_world(), start=start, end=now, rate=self._rate, seed=SEED, max_spans=2048, max_wait=_BACKFILL_WAIT
        )
        with _progress(start.timestamp(), now.timestamp()) as report:
            return player.backfill(exports, report)

    def _live(self, player: Player, start: datetime) -> None:
        end = start + timedelta(days=365)
        player.live(generate(default_world(), start=start, end=end, rate=self._rate, seed=SEED + 1), self._stop)


def _program() -> str:
    """As this one was started: make puts it on nobody's PATH."""
    return sys.argv[0] if Path(sys.argv[0]).name == "llmhub" else "llmhub"


def recordings() -> list[Path]:
    """The recorded SDK exports that come with the program."""
    root = Path(str(resources.files("llmhub").joinpath("recordings")))
    return sorted(root.glob("*/*.pb"))


def answers(store: Store) -> Table:
    """Calls, tokens, cost and p95 latency by model."""
    table = Table("model", title="What the store says, by model")
    for name in ("calls", "tokens in", "tokens out", "USD", "p95 s", "failed"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in store.rows(_ANSWERS):
        numbers = (
            f"{row['calls']:,} {row['input']:,} {row['output']:,} {row['usd']:.4f} {row['p95']:.2f} {row['failed']:,}"
        )
        table.add_texts(row["model"], *numbers.split())
    return table


def replay_trace(endpoint: str, path: Path, end: datetime | None) -> str:
    """Send the requests of a trace file to the hub at `endpoint`; returns what became of them.

    Raises TraceFileError, and PlayerError when not all were taken.
    """
    started = time.monotonic()
    with Player(endpoint, in_flight=_IN_FLIGHT) as player:
        totals = player.backfill(replay(path, end=end))
    report = (
        f"{totals.calls} calls of {path.name} stored as {totals.spans} spans in {time.monotonic() - started:.1f} s, "
        f"{totals.rejected} rejected, {totals.failed} exports failed"
    )
    if totals.failed:
        raise PlayerError(
            f"{report}, the last one because of {totals.error}; is {endpoint} the OTLP gRPC port of a hub?"
        )
    return report


@contextmanager
def _progress(start: float, end: float) -> Iterator[Callable[[Totals], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[calls]} calls"),
        TimeElapsedColumn(),
    )
    with progress(*columns) as bar:
        task = bar.add_task("making history", total=end - start, calls=0)
        yield lambda totals: bar.update(task, completed=max(0.0, totals.reached - start), calls=totals.calls)
