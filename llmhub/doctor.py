"""`llmhub doctor`: one look at everything that can be wrong with a hub or be missing in its data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from rich.console import Console

from collector.errors import HubError
from llmhub.config import Config
from llmhub.console import printable
from llmhub.control import ControlClient, NoHub
from llmhub.query import open_reader
from llmhub.spools import own_spools
from storage import queries, registry, schema
from storage.registry import RegistryError
from storage.store import Store, StoreError

_DAYS = 7
_MOST_GAPS = 10
_STALE_PRICES_DAYS = 90
_NEARLY_FULL = 0.8
_START = "llmhub up"


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """What one check has found. `fix` is what to do next, '' when there is nothing to do."""

    check: str
    state: State
    text: str
    fix: str = ""
    sample_trace_id: str = ""


def examine(config: Config) -> list[Finding]:
    """Every check, in the order in which one would look. Changes nothing."""
    findings = _hubs(own_spools(config))
    findings += _registry_file(config)
    try:
        store = open_reader(config)
    except StoreError as error:
        return [*findings, Finding("store", State.FAILED, str(error), "see storage.dsn")]
    try:
        findings += _store(store, config)
    except StoreError as error:
        findings.append(Finding("store", State.FAILED, error.message, "`llmhub up` brings the schema up to date"))
    finally:
        store.close()
    return findings


def show(findings: list[Finding], out: Console) -> None:
    """A line a finding, and what to do below it."""
    for finding in findings:
        trace = f"for example trace {finding.sample_trace_id}" if finding.sample_trace_id else ""
        indented = [f"{'':<22} {line}" for line in (trace, finding.fix) if line]
        for line in (f"{finding.state:<8} {finding.check:<13} {finding.text}", *indented):
            out.print(printable(line), markup=False, highlight=False, soft_wrap=True)
    count = sum(finding.state != State.OK for finding in findings)
    out.print("Nothing to do." if not count else f"{count} to look at.")


def _hubs(spools: list[Path]) -> list[Finding]:
    """Of all workers, each with its name; one that is away while others serve is started again by the hub."""
    if len(spools) == 1:
        return list(_hub(spools[0]))
    found = {path.name: list(_hub(path)) for path in spools}
    if any(each.check == "ledger" for findings in found.values() for each in findings):
        fix = "it is started again by itself; the hub's log says why it ended"
        found = {name: [replace(each, fix=fix if each.fix == _START else each.fix) for each in findings] for name, findings in found.items()}  # fmt: skip
    return [replace(each, text=f"{name}: {each.text}") for name, findings in found.items() for each in findings]


def _hub(spool: Path) -> Iterator[Finding]:
    client = ControlClient(spool)
    try:
        client.ping()
        problems = client.get("/problems")
        status = client.get("/status")
    except NoHub as error:
        yield Finding("readiness", State.FAILED, str(error), _START)
        return
    except HubError as error:
        yield Finding("readiness", State.FAILED, str(error), "the hub's log says more")
        return
    for name, problem in problems.items():
        yield Finding("readiness", State.FAILED, f"{name}: {problem}", "the hub's log says more")
    if not problems:
        yield Finding("readiness", State.OK, f"the hub on {spool} takes data")
    yield from _status(status)


def _status(status: dict[str, Any]) -> Iterator[Finding]:
    if status["balanced"]:
        yield Finding("ledger", State.OK, "what was received is stored or in the spool")
    elif status["balanced"] is None:
        yield Finding(
            "ledger", State.FAILED, "the store cannot be asked whether it has what was received", "llmhub status"
        )
    else:
        yield Finding("ledger", State.FAILED, "what was received is not all there", "llmhub status")
    yield _spool(status["spool"], status["breaker"])
    waiting = status["store"].get("dead_letters", {}).get("waiting", 0)
    if waiting:
        yield Finding("dead letters", State.WARNING, f"{waiting} wait for you", "llmhub dlq list")
    else:
        yield Finding("dead letters", State.OK, "none waits")


def _spool(spool: dict[str, Any], breaker: dict[str, Any]) -> Finding:
    text = f"{spool['batches']} batches wait, {spool['bytes']:,} of {spool['max_bytes']:,} bytes"
    if spool["problem"]:
        return Finding("spool", State.FAILED, f"{text}; senders are refused: {spool['problem']}", "the store must take something first: llmhub status")  # fmt: skip
    if breaker["last_error"]:
        return Finding("spool", State.WARNING, f"{text}; the store said {breaker['last_error']}", "look at the store")
    if spool["bytes"] > _NEARLY_FULL * spool["max_bytes"]:
        return Finding("spool", State.WARNING, f"{text}: it is nearly full", "look at the store, then collector.spool.max_bytes")  # fmt: skip
    return Finding("spool", State.OK, text)


def _registry_file(config: Config) -> Iterator[Finding]:
    if not (path := config.storage.registry.path):
        return
    try:
        services = registry.read(Path(path), config.receivers.tenant)
    except RegistryError as error:
        fix = "until then the last good registry is in force"
        yield from (Finding("registry", State.FAILED, line, fix) for line in str(error).splitlines())
    else:
        yield Finding("registry", State.OK, f"{path} has {len(services)} services")


def _store(store: Store, config: Config) -> Iterator[Finding]:
    if pending := schema.pending(store):
        yield Finding("store", State.FAILED, f"{len(pending)} migrations are not applied", "llmhub schema apply")
        return
    yield Finding("store", State.OK, "the schema is up to date")
    yield prices(store)
    yield from _services(store, config)
    gaps = [*map(_gap, store.rows(queries.text("gaps"), params={"days": str(_DAYS), "most": str(_MOST_GAPS)}))]
    yield from gaps or [
        Finding("gaps", State.OK, f"every call of the last {_DAYS} days has a model, tokens and a price")
    ]


def prices(store: Store) -> Finding:
    """How old the newest price is."""
    (row,) = store.rows(queries.text("prices_age"))
    text = f"{row['prices']:,} prices, the newest of {row['newest']}"
    if row["prices"] == 0 or row["days"] > _STALE_PRICES_DAYS:
        return Finding("prices", State.WARNING, f"{text}: models newer than that have none", "llmhub prices refresh; without a way out: pip install --upgrade genai-prices, and start the hub again")  # fmt: skip
    return Finding("prices", State.OK, text)


def _services(store: Store, config: Config) -> Iterator[Finding]:
    params = {"days": str(_DAYS), "most": str(_MOST_GAPS)}
    for row in store.rows(queries.text("unapproved"), params=params):
        text = f"{row['calls']} calls of {row['service']} ({row['owner'] or 'no owner'}) used {row['model']}, which is not approved"
        fix = f"use one of {', '.join(row['approved_models'])}, or add it to approved_models of {row['service']}"
        yield Finding("registry", State.WARNING, text, fix, row["sample_trace_id"])
    if config.storage.registry.path:
        for row in store.rows(queries.text("unregistered"), params=params):
            text = f"{row['calls']} calls of {row['service']}, which the registry does not know"
            yield Finding("registry", State.WARNING, text, f"- {{service: {row['service']}, team: ..., owner: ...}} in {config.storage.registry.path}")  # fmt: skip


_GAPS = {
    "no_price": "tokens without a price",
    "no_model": "calls without a model",
    "no_usage": "calls without tokens",
    "unmapped": "spans that look like LLM calls and match no dialect",
}


def _gap(row: dict[str, Any]) -> Finding:
    of = " ".join(filter(None, (row["provider"], row["model"] or row["span_name"])))
    text = f"{_GAPS[row['gap']]}: {row['calls']:,} of {row['service'] or '(no service)'}, {of or row['scope'] or '(no name)'}"
    return Finding(row["gap"], State.WARNING, text, row["fix"], row["sample_trace_id"])
