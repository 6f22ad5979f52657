"""`llmhub reprice` and `llmhub renormalise`: stored calls, written anew by the hub that has the store."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from llmhub.config import Config
from llmhub.console import JsonOption, Table, failures, load, print_json, progress, show, tell
from llmhub.control import ControlClient, ControlError
from llmhub.operate import with_hub

_POLL_SECONDS = 0.2
_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]
_PART = {"reprice": "month", "renormalise": "day"}

FromOption = Annotated[datetime, typer.Option("--from", formats=_FORMATS, help="Beginning of the range, UTC.")]
ToOption = Annotated[
    datetime | None,
    typer.Option("--to", formats=_FORMATS, help="Its end, exclusive, UTC; default: the end of this day."),
]
TenantOption = Annotated[str, typer.Option("--tenant", help="Only this tenant.")]
ServiceOption = Annotated[str, typer.Option("--service", help="Only this service.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")]


def reprice(
    context: typer.Context,
    since: FromOption,
    until: ToOption = None,
    tenant: TenantOption = "",
    service: ServiceOption = "",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compute the cost of stored calls again, with the prices that are known now, and correct the roll-up.

    Example: llmhub reprice --from 2026-01-01 --to 2026-02-01 --dry-run
    """
    _rewrite(load(context), "reprice", since, until, tenant, service, dry_run, as_json)


def renormalise(
    context: typer.Context,
    since: FromOption,
    until: ToOption = None,
    tenant: TenantOption = "",
    service: ServiceOption = "",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Build calls and steps again from the spans and log records that are stored, with the aliases that are known now.

    Example: llmhub renormalise --from 2026-01-01 --to 2026-02-01 --service checkout
    """
    _rewrite(load(context), "renormalise", since, until, tenant, service, dry_run, as_json)


def _rewrite(
    config: Config,
    kind: str,
    since: datetime,
    until: datetime | None,
    tenant: str,
    service: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    end = until or datetime.now(UTC).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    if end <= since:
        raise typer.BadParameter(f"--to must be after --from, not {end:%Y-%m-%d %H:%M:%S}")
    wanted = {
        "kind": kind,
        "since": f"{since:%Y-%m-%dT%H:%M:%SZ}",
        "until": f"{end:%Y-%m-%dT%H:%M:%SZ}",
        "tenant": tenant,
        "service": service,
        "dry_run": dry_run,
    }
    with failures():
        report = with_hub(config, lambda hub: _watch(hub, wanted))
    if as_json:
        print_json({**report, "dry_run": dry_run})
    else:
        _show(kind, report, dry_run)


def _watch(hub: ControlClient, wanted: dict[str, Any]) -> Any:
    """Start it, or watch it if it is under way, until it has ended. Raises ControlError."""
    hub.post("/rewrites", wanted)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with progress(*columns) as bar:
        task = bar.add_task(wanted["kind"], total=1.0)
        try:
            while (state := hub.get("/rewrites"))["running"]:
                bar.update(task, completed=state["share"])
                time.sleep(_POLL_SECONDS)
        except KeyboardInterrupt:
            raise ControlError("a running hub goes on with it; the same command shows how far it is") from None
    if "error" in state:
        raise ControlError(state["error"])
    return state["report"]


def _show(kind: str, report: dict[str, Any], dry_run: bool) -> None:
    calls = [total for total in report["totals"] if total["what"] == "calls"]
    steps = [total for total in report["totals"] if total["what"] == "steps"]
    if calls:
        show(_calls_table(kind, calls))
    if steps:
        show(_steps_table(steps))
    resumed = f", of which {report['resumed']} were finished before" if report["resumed"] else ""
    tell(
        f"{report['parts']} {_PART[kind]}{'' if report['parts'] == 1 else 's'}{resumed}; {_count(calls, 'changed')} calls and {_count(steps, 'changed')} steps differ"
    )
    for line in _advice(kind, report, calls, dry_run):
        tell(line)


def _calls_table(kind: str, calls: list[dict[str, Any]]) -> Table:
    title = "all calls of the range" if kind == "reprice" else "calls that differ; the others stay as they are"
    table = Table("model", title=title)
    for name in ("calls", "changed", "USD before", "after", "difference", "unpriced"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in calls:
        table.add_texts(f"{row['provider'] or '-'}/{row['model'] or '-'}", *_numbers(row))
    table.add_section()
    table.add_texts("all", *_numbers({name: sum(row[name] for row in calls) for name in calls[0] if "_" in name}))
    return table


def _steps_table(steps: list[dict[str, Any]]) -> Table:
    table = Table("role", "steps", title="steps that differ")
    for row in steps:
        table.add_texts(row["model"], _change(row["rows_before"], row["rows_after"]))
    return table


def _numbers(row: dict[str, Any]) -> list[str]:
    return [
        _change(row["rows_before"], row["rows_after"]),
        str(row["rows_changed"]),
        f"{row['cost_before']:.6f}",
        f"{row['cost_after']:.6f}",
        f"{row['cost_after'] - row['cost_before']:+.6f}",
        _change(row["unpriced_before"], row["unpriced_after"]),
    ]


def _change(before: int, after: int) -> str:
    return str(after) if before == after else f"{before} -> {after}"


def _count(totals: list[dict[str, Any]], name: str) -> int:
    return sum(int(total[f"rows_{name}"]) for total in totals)


def _advice(kind: str, report: dict[str, Any], calls: list[dict[str, Any]], dry_run: bool) -> list[str]:
    if dry_run:
        return ["nothing was changed: the same command without --dry-run does it"]
    lines = [f"llm_calls and llm_calls_1m agree again; this was run {report['run']} of llm_rewrites"]
    if kind == "reprice" and _count(calls, "changed"):
        lines.append("what a changed call cost before is in llm_calls.previous_cost")
    if unpriced := sum(total["unpriced_after"] for total in calls):
        lines.append(f"{unpriced} of these calls have no price: llm_calls says which, WHERE cost IS NULL")
    return lines
