"""The command line. Exit codes: 0 done, 1 something was refused or failed, 2 wrong usage or configuration."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

from llmhub import config as configuration
from llmhub import logs, tracing
from llmhub.config import Config
from llmhub.config_files import unusable_files
from llmhub.console import JsonOption, out, print_json, progress, say, tell
from llmhub.console import failures as _failures
from llmhub.console import load as _load
from llmhub.control import ask_status
from llmhub.dlq import dlq_app
from llmhub.hub import Addresses, Hub, open_configured, prepare_store, run
from llmhub.ingest import Summary, ingest_files
from llmhub.map import map_app
from llmhub.prices import prices_app
from llmhub.query import open_reader
from llmhub.rewrite import renormalise, reprice
from llmhub.running_hub import reachable
from llmhub.spool import spool_app
from llmhub.spools import leftover_spools
from llmhub.status_view import show_status
from llmhub.workers import supervise
from receivers.files import FORMATS
from receivers.listener import split_address
from storage import schema
from storage.kafka_engine import kafka_engine_sql

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="LLM Analytics Hub: LLM telemetry in, answers in Grafana.",
)
schema_app = typer.Typer(no_args_is_help=True, help="The schema of the store.")
grafana_app = typer.Typer(no_args_is_help=True, help="What Grafana needs to show the data.")
config_app = typer.Typer(no_args_is_help=True, help="The configuration.")
for name, group in (
    ("config", config_app),
    ("grafana", grafana_app),
    ("prices", prices_app),
    ("map", map_app),
    ("dlq", dlq_app),
    ("spool", spool_app),
    ("schema", schema_app),
):
    app.add_typer(group, name=name)

GLOBAL_OPTIONS = ("--config", "--store")

ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="YAML configuration file.", envvar="LLMHUB_CONFIG")
]
StoreOption = Annotated[
    str | None, typer.Option("--store", metavar="DSN", help="Where the data is; overrides storage.dsn.")
]


def main() -> None:
    """Run the command that the process was started with."""
    # The driver of ClickHouse servers logs what the command tells anyway.
    logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())
    try:
        app(args=_global_options_first(sys.argv[1:]))
    except UnicodeEncodeError:  # of an argument, which Python takes as it is
        say("llmhub: an argument is not valid UTF-8")
        sys.exit(2)
    except Exception as error:
        _tell_defect(error)
        sys.exit(1)


def _tell_defect(error: Exception) -> None:
    """To the log where there is one. On a terminal a traceback helps nobody, but whoever looks into it needs it."""
    if logging.root.handlers:
        logging.getLogger("llmhub").critical("the hub ends because of a defect: please report this", exc_info=error)
        return
    with tempfile.NamedTemporaryFile("w", prefix="llmhub-", suffix=".txt", delete=False) as file:
        traceback.print_exception(error, file=file)
    say(f"llmhub: a defect of the hub: {type(error).__name__}: {error}. Please report it, with {file.name}")


def _tell_version(asked: bool) -> None:
    if asked:
        tell(f"llmhub {version('llm-analytics-hub')}")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version and stop.")
]


@app.callback()
def _settings(
    context: typer.Context, config: ConfigOption = None, store: StoreOption = None, asked: VersionOption = False
) -> None:
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


@app.command()
def ingest(
    context: typer.Context,
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="'-' is standard input.")],
    fmt: Annotated[
        str, typer.Option("--format", help=f"What they are, whatever their names: {', '.join(FORMATS)}.")
    ] = "",
) -> None:
    """Store recorded OTLP requests (.pb, .json, .jsonl) and plain events (.events.jsonl), also .gz and .zst;
    through the running hub if one holds the store.

    Example: llmhub --store chdb:///tmp/llm ingest traces.pb logs.jsonl.gz
    """
    settings = _load(context)
    if fmt and fmt not in FORMATS:
        raise typer.BadParameter(f"--format must be one of {', '.join(FORMATS)}, not {fmt!r}")
    # The process does not stay where it was started.
    paths = [Path(name) if name == "-" else Path(name).absolute() for name in files]
    with _failures(), _byte_progress(paths) as advance:
        summary = ingest_files(settings, paths, fmt, advance)
    _report(summary)


@app.command()
def tail(
    context: typer.Context,
    tenant: Annotated[str, typer.Option(help="Only this tenant.")] = "",
    signal_: Annotated[str, typer.Option("--signal", help="Only traces, logs or metrics.")] = "",
    service: Annotated[str, typer.Option(help="Only this service.")] = "",
    name: Annotated[str, typer.Option(help="Only spans, events and metrics with this in their name.")] = "",
    model: Annotated[str, typer.Option(help="Only calls of models with this in their name.")] = "",
    errors: Annotated[bool, typer.Option("--errors", help="Only what failed.")] = False,
    sample: Annotated[float, typer.Option(help="Share of the traces, such as 0.1.")] = 1.0,
    count: Annotated[int | None, typer.Option(help="Stop after that many records.", min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print what the running hub stores, as it arrives. The hub needs api.tail.enabled.

    Example: llmhub tail --service checkout --errors
    """
    from llmhub.tail import watch

    filters = {"tenant": tenant, "signal": signal_, "service": service, "name": name, "model": model}
    query = {**filters, "errors": "true" if errors else "", "sample": str(sample)}
    with _failures():
        watch(_load(context).api.listen, query, as_json=as_json, count=count)


@app.command()
def query(
    context: typer.Context,
    sql: Annotated[str, typer.Argument(metavar="SQL")],
    fmt: Annotated[str, typer.Option("--format", help="Any ClickHouse output format.")] = "PrettyCompact",
) -> None:
    """Print rows from the store, through the running hub if one holds it.

    Example: llmhub query "SELECT model, sum(cost) FROM llm_calls GROUP BY model" --format JSONEachRow
    """
    sql.encode()  # the engine's own word for an argument that is no text is none
    with _failures():
        store = open_reader(_load(context))
        # The embedded engine lets no handler run before the query has ended. There is nothing to lose by ending at once.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            sys.stdout.buffer.write(store.query(sql, fmt=fmt))
        finally:
            store.close()


@app.command()
def status(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show what the running hub says of itself: ledger, spool, breaker, canary, and what to do about what is wrong.

    Exit code 1 when the ledger does not balance, or when the store cannot be asked whether it does.
    """
    with _failures():
        report = ask_status(_load(context))
    if as_json:
        print_json(report)
    else:
        show_status(report, out)
    if not report["balanced"]:
        raise typer.Exit(1)


@app.command()
def doctor(context: typer.Context, as_json: JsonOption = False) -> None:
    """Look the hub over, and what is stored: say what is wrong or missing, and what to do about it.

    Exit code 1 when something fails. What is merely missing, such as the price of a model, is a warning.

    Example: llmhub doctor --json
    """
    from llmhub.doctor import State, examine, show

    with _failures():
        findings = examine(_load(context))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        show(findings, out)
    if any(finding.state == State.FAILED for finding in findings):
        raise typer.Exit(1)


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


app.command()(reprice)
app.command()(renormalise)


@schema_app.command("plan")
def schema_plan(
    context: typer.Context, sql: Annotated[bool, typer.Option("--sql", help="Print the statements.")] = False
) -> None:
    """Show which migrations the store lacks."""
    with _failures():
        store = open_reader(_load(context), may_be_new=True)
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


@schema_app.command("kafka")
def schema_kafka(
    context: typer.Context,
    group: Annotated[str, typer.Option("--group", help="Consumer group of the ClickHouse server.")] = "clickhouse",
) -> None:
    """Print the SQL with which a ClickHouse server reads from Kafka what receivers.kafka.producer writes."""
    producer = _load(context).receivers.kafka.producer
    print(kafka_engine_sql(producer.brokers or "kafka:9092", producer.topic_prefix, group))


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
    from grafana.render import RenderSettings
    from grafana.render import render as render_grafana

    settings = _load(context)
    http = settings.storage.clickhouse_http
    with _failures():
        name, port = split_address(host or reachable(http.listen, "storage.clickhouse_http.listen"), "--host")
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
    """Check the configuration file, the environment and the files that they name, without starting anything."""
    settings = _load(context)
    if problems := unusable_files(settings):
        for problem in problems:
            say(f"llmhub: {problem}")
        raise typer.Exit(2)
    tell(f"the configuration is valid; the store is {_without_password(settings.storage.dsn)}")


@config_app.command("show")
def config_show() -> None:
    """Print every setting with its default, one a line."""
    for key, default in configuration.every_setting():
        print(f"{key}: {json.dumps(default)}")


def _run(settings: Config, serve: object) -> None:
    # Nothing has been received yet: a stop during the start just ends it.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    store = prepare_store(settings)
    try:
        uvloop.run(run(settings, store, serve, leftovers=leftover_spools(settings)))  # type: ignore[arg-type]
    finally:
        store.close()


@contextmanager
def _byte_progress(paths: list[Path]) -> Iterator[Callable[[int], None]]:
    """A bar on standard error; without a length when one of the files has none."""
    sizes = [path.stat().st_size if path.is_file() else 0 for path in paths]
    total = None if any(path.name == "-" for path in paths) else sum(sizes)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with progress(*columns) as bar:
        task = bar.add_task("ingesting", total=total)
        yield lambda size: bar.advance(task, size)


def _report(summary: Summary) -> None:
    for problem in summary.problems:
        say(problem)
    out.print(f"{summary.stored} of {summary.requests} requests stored, {summary.rejected_records} records rejected")
    if summary.problems:
        raise typer.Exit(1)


def _print_addresses(settings: Config, addresses: Addresses) -> None:
    rows = [
        ("OTLP gRPC", addresses.otlp_grpc, "OTEL_EXPORTER_OTLP_ENDPOINT=http://" + addresses.otlp_grpc),
        ("OTLP HTTP", f"http://{addresses.otlp_http}", "/v1/traces, /v1/logs, /v1/metrics, /v1/events"),
        (
            "ClickHouse HTTP",
            f"http://{addresses.clickhouse_http}",
            "for Grafana's ClickHouse data source, curl, drivers",
        ),
        ("API", f"http://{addresses.api}", "/healthz, /readyz, /metrics, /status, /v1/tail"),
        ("Store", _without_password(settings.storage.dsn), ""),
    ]
    for name, address, note in rows:
        if address != "http://":
            tell(f"{name:<16} {address:<28} {note}".rstrip())


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
