"""What must be true of a hub after any fault: everything acknowledged is stored, once, and the books balance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tests.hub.process import Hub, until

Ask = Callable[[str], list[dict[str, Any]]]

DRAIN_SECONDS = 60.0
_NO_LABELS: frozenset[tuple[str, str]] = frozenset()
_REQUEST_IDS = (
    "SELECT count() AS n, uniqExact(request_id) AS ids, max(request_id) - min(request_id) + 1 AS span FROM "
    "(SELECT request_id FROM {database}ingest_requests UNION ALL "
    "SELECT request_id FROM {database}dead_letters FINAL WHERE records = 0)"
)


def in_database(hub: Hub, database: str) -> Ask:
    """Rows from the ClickHouse port of `hub`, of its database `database`."""
    return lambda sql: hub.rows(sql.replace("{database}", f"{database}."))


def drained(hub: Hub) -> bool:
    metrics = hub.metrics()
    waiting = ("llmhub_spool_batches", "llmhub_spool_oldest_seconds", "llmhub_collector_pending_bytes")
    return not any(metrics[name, _NO_LABELS] for name in waiting)


def drains(hub: Hub) -> bool:
    """However long it takes, as long as it becomes less."""
    while not drained(hub):
        if not until(partial(_is_less, hub, hub.metric("llmhub_spool_batches")), DRAIN_SECONDS):
            return False
    return True


def _is_less(hub: Hub, batches: float) -> bool:
    return drained(hub) or hub.metric("llmhub_spool_batches") < batches


def check(hub: Hub, acknowledged: set[str], service: str, ask: Ask | None = None) -> None:
    """`ask` answers for the store where it is not the hub's own; request ids are those of the hub's first spool."""
    ask = ask or in_database(hub, "llm")
    assert drains(hub), f"the spool is not empty\n{hub.log[-3000:]}"
    found = spans(ask, service)
    missing = acknowledged - found.keys()
    assert not missing, (
        f"{len(missing)} of {len(acknowledged)} acknowledged spans are not stored: {sorted(missing)[:3]}"
    )
    twice = [name for name, copies in found.items() if copies > 1]
    assert not twice, f"{len(twice)} spans are stored more than once: {twice[:3]}"
    assert duplicates(ask, service) == {"calls_twice": 0, "rolled_up_too_often": 0}
    assert ask("SELECT * FROM {database}ingest_ledger WHERE difference != 0") == []
    (ids,) = ask(_REQUEST_IDS)
    assert ids["n"] == ids["ids"] == ids["span"], f"requests are missing or stored twice: {ids}"
    assert hub.metric("llmhub_ledger_imbalance") == 0


def spans(ask: Ask, service: str) -> Mapping[str, int]:
    """Copies by 'trace id:span id'."""
    rows = ask(
        "SELECT concat(TraceId, ':', SpanId) AS id, count() AS copies FROM {database}otel_traces "
        f"WHERE ServiceName = '{service}' GROUP BY id"
    )
    return {row["id"]: int(row["copies"]) for row in rows}


def duplicates(ask: Ask, service: str) -> dict[str, int]:
    where = f"WHERE service = '{service}'"
    (row,) = ask(
        f"SELECT (SELECT count() FROM {{database}}llm_calls {where}) AS calls, "
        f"(SELECT uniqExact(trace_id, span_id) FROM {{database}}llm_calls {where}) AS unique_calls, "
        f"(SELECT sum(calls) FROM {{database}}llm_calls_1m {where}) AS rolled_up"
    )
    calls, unique_calls, rolled_up = (int(row[name]) for name in ("calls", "unique_calls", "rolled_up"))
    return {"calls_twice": calls - unique_calls, "rolled_up_too_often": rolled_up - calls}


def resident_bytes(hub: Hub) -> int:
    """What the hub's process has in memory."""
    status = Path(f"/proc/{hub.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024
