"""The reports of several workers as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any


def merged(reports: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """`reports` are those of `Status.report`, or `silent`, by the worker's name, and are in `workers`; the ledger is their
    sum. `balanced` is True when all are, and None when one of them cannot say."""
    balanced = {report["balanced"] for report in reports.values()}
    return {
        "balanced": False if False in balanced else None if None in balanced else True,
        "problems": _problems(reports),
        "ledger": _ledger(reports),
        "workers": dict(reports),
    }


def silent(reason: str) -> dict[str, Any]:
    """The report of a worker that gives none."""
    return {
        "balanced": None,
        "problems": [
            f"it does not serve: {reason}. One that has ended is started again; the hub's log says why it ended"
        ],
    }


def _problems(reports: Mapping[str, dict[str, Any]]) -> list[str]:
    """What several of them say, of the store they share, is said once."""
    who: dict[str, list[str]] = {}
    for name, report in reports.items():
        for problem in report["problems"]:
            who.setdefault(problem, []).append(name)
    return [f"{', '.join(names)}: {problem}" for problem, names in who.items()]


def _ledger(reports: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    sums: dict[tuple[str, str], Counter[str]] = {}
    for report in reports.values():
        for row in report.get("ledger", ()):
            entries = {name: value for name, value in row.items() if name not in ("tenant", "signal")}
            sums.setdefault((row["tenant"], row["signal"]), Counter()).update(entries)
    return [{"tenant": tenant, "signal": signal, **sums[tenant, signal]} for tenant, signal in sorted(sums)]
