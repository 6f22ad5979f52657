"""The command line. Exit codes: 0 done, 1 something was refused or failed, 2 wrong usage or configuration."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from grafana.render import RenderSettings
from grafana.render import render as render_grafana
from llmhub import config as configuration
from llmhub import logs, tracing
from llmhub.config import Config, ConfigError
from llmhub.hub import START_FAILURES, Addresses, Hub, open_configured, prepare_store, run
from llmhub.ingest import Summary
from llmhub.ingest import ingest as ingest_files
from llmhub.query import open_reader
from llmhub.spools import leftover_spools
from llmhub.traffic.errors import TrafficError
from llmhub.workers import supervise
from receivers.listener import split_address
from storage import schema
from storage.schema import SchemaError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="LLM Analytics Hub: LLM telemetry in, answers in Grafana."
)
schema_app = typer.Typer(no_args_is_help=True, help="The schema of the store.")
grafana_app = typer.Typer(no_args_is_help=True, help="What Grafana needs to show the data.")
config_app = typer.Typer(no_args_is_help=True, help="The configuration.")
app.add_typer(schema_app, name="schema")
app.add_typer(grafana_app, name="grafana")
app.add_typer(config_app, name="config")

out = Console()
err = Console(stderr=True)
GLOBAL_OPTIONS = ("--config", "--store")
FAILURES = (*START_FAILURES, SchemaError, TrafficError)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="YAML configuration file.", envvar="LLMHUB_CONFIG")
]
StoreOption = Annotated[
    str | None, typer.Option("--store", metavar="DSN", help="Where the data is; overrides storage.dsn.")
]


def main() -> None:
    """Entry point of `llmhub`."""
    app(args=_global_options_first(sys.argv[1:]))


@app.callback()
def _settings(context: typer.Context, config: ConfigOption = None, store: StoreOption = None) -> None:
    context.obj = (config, store)


@app.command()
def up(context: typer.Context) -> None:
    """Run the hub until SIGTERM: receivers, store, ClickHouse interface and API in one process, or receivers.workers
    processes in front of a ClickHouse server."""
    settings = _load(context)
    logs.configure(settings.telemetry)
    tracing.configure(settings.telemetry)

    async def serve(hub: Hub, addresses: Addresses) -> None:
        _print_addresses(settings, addresses)
        await asyncio.Event().wait()

    with _failures():
        if settings.receivers.workers > 1:
            supervise(settings, lambda addresses: _print_addresses(settings, addresses))
        else:
            _run(settings, serve)


@app.command()
def ingest(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", exists=True, dir_okay=False, resolve_path=True)],
) -> None:
    """Store recorded OTLP requests: .pb, .json or .jsonl, also .gz and .zst.

    Example: llmhub --store chdb:///tmp/llm ingest traces.pb logs.jsonl.gz
    """
    settings = _load(context)
    with _failures(), Progress(console=err, transient=True) as progress:
        task = progress.add_task("ingesting", total=len(files))
        store = prepare_store(settings)
        try:
            summary = asyncio.run(ingest_files(store, settings, files, lambda _: progress.advance(task)))
        finally:
            store.close()
    _report(summary)


@app.command()
def query(
    context: typer.Context,
    sql: Annotated[str, typer.Argument(metavar="SQL")],
    fmt: Annotated[str, typer.Option("--format", help="Any ClickHouse output format.")] = "PrettyCompact",
) -> None:
    """Print rows from the store, through the running hub if one holds it.

    Example: llmhub query "SELECT model, sum(cost) FROM llm_calls GROUP BY model" --format JSONEachRow
    """
    with _failures():
        store = open_reader(_load(context))
        try:
            sys.stdout.buffer.write(store.query(sql, fmt=fmt))
        finally:
            store.close()


@app.command()
def replay(
    context: typer.Context,
    trace: Annotated[
        Path,
        typer.Option(
            "--trace", exists=True, dir_okay=False, resolve_path=True, help="Azure LLM inference CSV or Mooncake JSONL."
        ),
    ],
    end: Annotated[
        datetime | None, typer.Option(help="When the last request shall have happened (UTC); default now.")
    ] = None,
) -> None:
    """Send a recorded trace of real LLM requests to a running hub as OTLP spans, keeping its rhythm.

    Example: llmhub replay --trace AzureLLMInferenceTrace_conv.csv
    """
    from llmhub.demo import replay_trace

    settings = _load(context)
    with _failures():
        report = replay_trace(settings.receivers.otlp_grpc.listen, trace, end.replace(tzinfo=UTC) if end else None)
    out.print(report)


@app.command()
def demo(
    context: typer.Context,
    days: Annotated[float, typer.Option(help="Days of history to make up.", min=0)] = 3.0,
    rate: Annotated[float, typer.Option(help="Mean calls a second.", min=0.01)] = 0.5,
    seconds: Annotated[float | None, typer.Option(help="Stop after that long; default: when told to.")] = None,
) -> None:
    """Run a hub with recorded SDK exports and made-up traffic in it: a few days of history, then live.

    Without --store the data lives in a temporary directory and goes with the demo.
    """
    from llmhub.demo import Demo, temporary_store

    settings = _load(context)
    logs.configure(settings.telemetry)
    given = context.obj[1] is not None
    with _failures(), temporary_store(settings, keep=given) as kept:
        play = Demo(kept, out, days=days, rate=rate, seconds=seconds)

        async def serve(hub: Hub, addresses: Addresses) -> None:
            _print_addresses(kept, addresses)
            await play.run(hub, addresses)

        _run(kept, serve)


@schema_app.command("plan")
def schema_plan(
    context: typer.Context, sql: Annotated[bool, typer.Option("--sql", help="Print the statements.")] = False
) -> None:
    """Show which migrations the store lacks."""
    with _failures():
        store = open_configured(_load(context))
        try:
            todo = schema.pending(store)
            source = store.dictionary_source
        finally:
            store.close()
    for migration in todo:
        out.print(migration.name, f"{len(migration.statements)} statements", markup=False)
        if sql:
            text = ";\n\n".join(migration.statements) + ";"
            print(text.replace(source, "/* this store and its login */"))
    out.print(f"{len(todo)} to apply" if todo else "nothing to apply")


@schema_app.command("apply")
def schema_apply(context: typer.Context) -> None:
    """Apply the migrations the store lacks; `llmhub up` does so by itself."""
    with _failures():
        store = open_configured(_load(context))
        try:
            done = schema.apply(store)
        finally:
            store.close()
    for migration in done:
        out.print(f"applied {migration.name}")
    out.print("the schema is up to date")


@grafana_app.command("render")
def grafana_render(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(help="Directory to write the provisioning tree into.")],
    host: Annotated[str, typer.Option(help="The ClickHouse HTTP interface as Grafana reaches it: host:port.")] = "",
    username: Annotated[str, typer.Option(help="ClickHouse user for Grafana.")] = "",
    dashboards_path: Annotated[str, typer.Option(help="Where dashboards/ lies on Grafana's machine.")] = "",
) -> None:
    """Write the data source and the dashboards as files for Grafana's provisioning.

    Example: llmhub grafana render ./grafana-provisioning --host llmhub:8123
    """
    settings = _load(context)
    http = settings.storage.clickhouse_http
    with _failures():
        name, port = split_address(host or http.listen, "--host")
        user = username or (http.users[0].name if http.users else "default")
        path = dashboards_path or str((target / "dashboards").absolute())
        written = render_grafana(target, RenderSettings(host=name, port=port, username=user, dashboards_path=path))
    for file in written:
        out.print(str(file), highlight=False)
    out.print(
        "Copy provisioning/ into Grafana's provisioning directory and restart it; the plugin is grafana-clickhouse-datasource."
    )


@config_app.command("check")
def config_check(context: typer.Context) -> None:
    """Check the configuration file and the environment without starting anything."""
    settings = _load(context)
    out.print(f"the configuration is valid; the store is {_without_password(settings.storage.dsn)}", highlight=False)


@config_app.command("show")
def config_show() -> None:
    """Print every setting with its default, one a line."""
    for key, default in configuration.every_setting():
        print(f"{key}: {json.dumps(default)}")


def _load(context: typer.Context) -> Config:
    path, dsn = context.find_root().obj
    try:
        return configuration.load(path, dsn=dsn)
    except ConfigError as error:
        err.print(f"llmhub: {error}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None


def _run(settings: Config, serve: object) -> None:
    # Nothing has been received yet: a stop during the start just ends it.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    store = prepare_store(settings)
    try:
        asyncio.run(run(settings, store, serve, leftovers=leftover_spools(settings)))  # type: ignore[arg-type]
    finally:
        store.close()


@contextmanager
def _failures() -> Iterator[None]:
    """Errors that have a remedy are told in one line, not as a traceback."""
    try:
        yield
    except FAILURES as error:
        err.print(f"llmhub: {error}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None


def _report(summary: Summary) -> None:
    for problem in summary.problems:
        err.print(problem, markup=False, highlight=False, soft_wrap=True)
    out.print(f"{summary.stored} of {summary.requests} requests stored, {summary.rejected_records} records rejected")
    if summary.problems:
        raise typer.Exit(1)


def _print_addresses(settings: Config, addresses: Addresses) -> None:
    rows = [
        ("OTLP gRPC", addresses.otlp_grpc, "OTEL_EXPORTER_OTLP_ENDPOINT=http://" + addresses.otlp_grpc),
        ("OTLP HTTP", f"http://{addresses.otlp_http}", "/v1/traces, /v1/logs, /v1/metrics"),
        (
            "ClickHouse HTTP",
            f"http://{addresses.clickhouse_http}",
            "for Grafana's ClickHouse data source, curl, drivers",
        ),
        ("API", f"http://{addresses.api}", "/healthz, /readyz, /metrics"),
        ("Store", _without_password(settings.storage.dsn), ""),
    ]
    for name, address, note in rows:
        if address != "http://":
            out.print(f"{name:<16} {address:<28} {note}".rstrip(), markup=False, highlight=False, soft_wrap=True)


def _without_password(dsn: str) -> str:
    head, at, tail = dsn.rpartition("@")
    scheme, separator, user = head.partition("://")
    return f"{scheme}{separator}{user.partition(':')[0]}{at}{tail}" if at else dsn


def _global_options_first(arguments: list[str]) -> list[str]:
    """Let --config and --store stand anywhere on the line, as every command takes them."""
    front: list[str] = []
    rest: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            rest += [argument, *waiting]
        elif argument in GLOBAL_OPTIONS:
            front += [argument, *([value] if (value := next(waiting, None)) is not None else [])]
        elif argument.startswith(tuple(f"{option}=" for option in GLOBAL_OPTIONS)):
            front.append(argument)
        else:
            rest.append(argument)
    return front + rest
