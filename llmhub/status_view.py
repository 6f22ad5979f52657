"""A status report for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from llmhub.console import Table, show

_ENTRIES = (
    "received", "recovered", "acknowledged", "stored", "produced", "duplicate", "dead_lettered", "refused", "under_way"
)  # fmt: skip
# Left out where they are 0, for a terminal is narrow.
_RARE = ("recovered", "produced", "duplicate", "dead_lettered")


def show_status(report: dict[str, Any], out: Console) -> None:
    """Print what `Status.report` or `worker_status.merged` returns: the ledger, a line a part, and then what is wrong."""
    _show_ledger(report["ledger"], out)
    for worker, part in report.get("workers", {"": report}).items():
        if worker:
            out.rule(worker)
        for name, text in _lines(part) if "spool" in part else ():
            out.print(f"{name:<14} {text}", markup=False, highlight=False, soft_wrap=True)
    if "workers" in report:
        out.rule()
    for problem in report["problems"]:
        out.print(f"! {problem}", markup=False, highlight=False, soft_wrap=True)
    if report["balanced"]:
        out.print("The ledger balances.")


def _show_ledger(rows: list[dict[str, Any]], out: Console) -> None:
    if not rows:
        out.print("No request has come in since the hub was started.")
        return
    table = Table("tenant", "signal", title="Requests since the hub was started")
    shown = [entry for entry in _ENTRIES if entry not in _RARE or any(row[entry] for row in rows)]
    for entry in shown:
        table.add_column(entry.replace("_", " "), justify="right", no_wrap=True)
    for row in rows:
        table.add_texts(row["tenant"], row["signal"], *(f"{row[entry]:,}" for entry in shown))
    show(table, out)


def _canary(canary: dict[str, Any]) -> str:
    lag = canary["lag_seconds"]
    return f"seen after {lag} s, {canary['failures']} failures" if lag else "none has been sent yet"


def _lines(report: dict[str, Any]) -> list[tuple[str, str]]:
    spool, breaker, canary, store = (report[name] for name in ("spool", "breaker", "canary", "store"))
    lines = [
        (
            "spool",
            f"{spool['batches']} batches wait, the oldest for {spool['oldest_seconds']} s (at most {spool['max_age_seconds']:g} s); "
            f"{spool['bytes']:,} of {spool['max_bytes']:,} bytes",
        ),
        ("breaker", f"{breaker['state']} {breaker['last_error']}".strip()),
        ("duplicates", f"recognised for {report['duplicate_window_seconds']} s"),
        ("canary", _canary(canary)),
    ]
    lines += [("refused", _refusal(row)) for row in report["refusals"]]
    if "error" in store:
        return lines
    ids, letters = store["request_ids"], store["dead_letters"]
    lines.append(("dead letters", f"{letters['waiting']} wait, {letters['replayed']} were replayed"))
    lines.append(
        (
            "store",
            f"request ids {ids['first']} to {ids['next'] - 1}: {ids['stored']:,} stored, {ids['spooled']:,} in the "
            f"spool, {ids['missing']:,} missing, {ids['twice']:,} stored twice"
            if ids["next"] > ids["first"]
            else "no request has come in yet",
        )
    )
    return lines + [("", _difference(row)) for row in store["differences"]]


def _refusal(row: dict[str, Any]) -> str:
    whose = f"of tenant {row['tenant']}" if row["tenant"] else "before it was known whose they are"
    return f"{row['requests']:,} {row['signal']} {whose}: {row['reason']}"


def _difference(row: dict[str, Any]) -> str:
    return (
        f"tenant {row['tenant']}, {row['signal']}: {row['received']:,} records received, {row['stored']:,} in the tables, "
        f"{row['rejected']:,} rejected"
    )
