"""What Grafana and its ClickHouse plugin do to a query before ClickHouse sees it, for running queries without them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

ALL = "$__all"


@dataclass(frozen=True)
class View:
    """A dashboard as somebody looks at it: the range in milliseconds since 1970, the interval in milliseconds."""

    from_ms: int
    to_ms: int
    interval_ms: int = 60_000
    variables: Mapping[str, str | Sequence[str]] = field(default_factory=dict)


def expand(sql: str, view: View) -> str:
    """The SQL that reaches ClickHouse. Raises ValueError for a macro or variable that neither side knows."""
    sql = _conditional_all(sql, view)
    sql = re.sub(r"\$\{(\w+)(?::(\w+))?\}", lambda match: _variable(match[1], match[2], view), sql)
    return _backend_macros(sql, view)


def _conditional_all(sql: str, view: View) -> str:
    """`$__conditionalAll(condition, $variable)`, in the plugin's front end."""
    while (start := sql.rfind("$__conditionalAll(")) != -1:
        arguments, end = _arguments(sql, sql.index("(", start))
        condition, variable = arguments
        name = re.fullmatch(r"\$(\w+)|\$\{(\w+)\}", variable.strip())
        if name is None:
            raise ValueError(f"the second argument of $__conditionalAll must be a bare variable, not {variable!r}")
        value = view.variables[name[1] or name[2]]
        chosen = value if isinstance(value, str) else ",".join(value)
        sql = sql[:start] + ("1=1" if chosen in ("", ALL) else condition) + sql[end:]
    return sql


def _variable(name: str, format: str | None, view: View) -> str:
    if name in ("__from", "__to"):
        return str(view.from_ms if name == "__from" else view.to_ms)
    value = view.variables[name]
    values = [value] if isinstance(value, str) else list(value)
    if ALL in values:
        raise ValueError(f"All reaches the SQL through ${{{name}}}: guard it with $__conditionalAll")
    if format == "singlequote":
        return ",".join("'" + each.replace("'", "\\'") + "'" for each in values)
    if format == "raw":
        return ",".join(values)
    raise ValueError(f"${{{name}}} needs the format :singlequote")


def _backend_macros(sql: str, view: View) -> str:
    done = ""
    while match := re.search(r"\$\{?(\w*)", sql):
        name = match[1].removeprefix("__")
        if not match[1].startswith("__") or name not in _MACROS:
            raise ValueError(f"nobody expands {match[0]!r}")
        count, macro = _MACROS[name]
        arguments, end = _arguments(sql, match.end()) if count else ([], match.end())
        if len(arguments) != count:
            raise ValueError(f"{match[0]} takes {count} arguments, not {len(arguments)}")
        done, sql = done + sql[: match.start()] + macro(view, *(each.strip() for each in arguments)), sql[end:]
    return done + sql


def _arguments(sql: str, opening: int) -> tuple[list[str], int]:
    """The top-level arguments of the parenthesis at `opening`, and where the text goes on behind it."""
    if sql[opening : opening + 1] != "(":
        return [], opening
    arguments, depth, begin = [], 0, opening + 1
    for at in range(opening, len(sql)):
        depth += {"(": 1, ")": -1}.get(sql[at], 0)
        if depth == 0 or (depth == 1 and sql[at] == ","):
            arguments.append(sql[begin:at])
            begin = at + 1
        if depth == 0:
            return arguments, at + 1
    raise ValueError(f"unbalanced parenthesis in {sql[opening:]!r}")


def _seconds(view: View) -> tuple[str, str]:
    return f"toDateTime({view.from_ms // 1000})", f"toDateTime({view.to_ms // 1000})"


def _milliseconds(view: View) -> tuple[str, str]:
    return f"fromUnixTimestamp64Milli({view.from_ms})", f"fromUnixTimestamp64Milli({view.to_ms})"


def _days(view: View) -> tuple[str, str]:
    first, last = (datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d") for ms in (view.from_ms, view.to_ms))
    return f"toDate('{first}')", f"toDate('{last}')"


def _between(column: str, bounds: tuple[str, str]) -> str:
    return f"{column} >= {bounds[0]} AND {column} <= {bounds[1]}"


def _date_time_filter(view: View, day: str, time: str) -> str:
    return f"({_between(day, _days(view))}) AND ({_between(time, _seconds(view))})"


def _bucket(column: str, seconds: int) -> str:
    return f"toStartOfInterval(toDateTime({column}), INTERVAL {seconds} second)"


def _bucket_ms(view: View, column: str) -> str:
    return f"toStartOfInterval(toDateTime64({column}, 3), INTERVAL {max(1, view.interval_ms)} millisecond)"


def _interval_seconds(view: View) -> int:
    return max(1, view.interval_ms // 1000)


def _duration_seconds(text: str) -> int:
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


_MACROS: Mapping[str, tuple[int, Callable[..., str]]] = {
    "timeFilter": (1, lambda view, column: _between(column, _seconds(view))),
    "timeFilter_ms": (1, lambda view, column: _between(column, _milliseconds(view))),
    "dateFilter": (1, lambda view, column: _between(column, _days(view))),
    "dateTimeFilter": (2, _date_time_filter),
    "dt": (2, _date_time_filter),
    "fromTime": (0, lambda view: _seconds(view)[0]),
    "toTime": (0, lambda view: _seconds(view)[1]),
    "fromTime_ms": (0, lambda view: _milliseconds(view)[0]),
    "toTime_ms": (0, lambda view: _milliseconds(view)[1]),
    "timeInterval": (1, lambda view, column: _bucket(column, _interval_seconds(view))),
    "timeInterval_ms": (1, _bucket_ms),
    "interval_s": (0, lambda view: str(_interval_seconds(view))),
    "interval_ms": (0, lambda view: str(view.interval_ms)),
    "range_s": (0, lambda view: str((view.to_ms - view.from_ms) // 1000)),
    "timeFrom": (1, lambda view, column: f"{column} >= {_seconds(view)[0]}"),
    "timeTo": (1, lambda view, column: f"{column} <= {_seconds(view)[1]}"),
    "timeGroup": (2, lambda view, column, period: _bucket(column, _duration_seconds(period))),
}
