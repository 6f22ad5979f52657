"""What becomes of recorded requests: the same views as everywhere, in a store that lives as long as the question."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from collector.breaker import Breaker
from collector.dead_letters import DeadLetters
from collector.envelope import wrap
from collector.errors import HubError
from collector.metrics import CollectorMetrics
from collector.signals import Signal
from collector.spool import Cipher
from collector.writer import Writer
from llmhub.config import Config
from llmhub.hub import prepare_store
from receivers.files import read_exports
from storage.content import ContentKeys
from storage.mapping import may_come_from_resource
from storage.store import Store

CALLS = ("llm", "embedding", "rerank")
UNMAPPED = "unmapped"
_KEEP = (
    # What is stored has no message content any more.
    "CREATE TABLE kept_otlp_spans AS otlp_spans ENGINE = MergeTree ORDER BY tuple()",
    "CREATE MATERIALIZED VIEW kept_otlp_spans_mv TO kept_otlp_spans AS SELECT * FROM otlp_spans WHERE reason = ''",
    "CREATE TABLE kept_otlp_log_records AS otlp_log_records ENGINE = MergeTree ORDER BY tuple()",
    "CREATE MATERIALIZED VIEW kept_otlp_log_records_mv TO kept_otlp_log_records AS SELECT * FROM otlp_log_records WHERE reason = ''",
    "CREATE TABLE kept_spans AS llm_spans ENGINE = MergeTree ORDER BY tuple()",
    # The map has every candidate of a slot, the best first.
    "ALTER TABLE kept_spans ADD COLUMN pairs Array(Tuple(String, String)) MATERIALIZED arrayZip(mapKeys(slots), mapValues(slots))",
    "CREATE MATERIALIZED VIEW kept_spans_mv TO kept_spans AS SELECT * FROM llm_spans",
)
_RECORDS = """
SELECT *
FROM (
    SELECT
        'span' AS kind, SpanName AS name, ScopeName AS scope, ServiceName AS service, TraceId AS trace_id, SpanId AS span_id,
        toString(toUnixTimestamp64Nano(Timestamp)) AS time, SpanAttributes AS attributes, ResourceAttributes AS resource
    FROM {spans}
    UNION ALL
    SELECT
        'log', arrayFirst(name -> name != '', [toString(EventName), LogAttributes['event.name'], LogAttributes['event_name'], Body]), ScopeName,
        ServiceName, TraceId, SpanId, toString(toUnixTimestamp64Nano(Timestamp)), LogAttributes, ResourceAttributes
    FROM {logs}
)
ORDER BY time
"""
# Name and end are what the rows of a log record have in common with it.
_END = "toString(toUnixTimestamp64Nano(timestamp) + toInt64(round({}))) AS end"
_NOT_SHOWN = frozenset(
    {"trace_id", "span_id", "received_at", "end", "rewrite", "previous_cost", "preference", "tenant"}
)


@dataclass(frozen=True)
class Slot:
    """The attribute that fills a slot, and the others that would have."""

    slot: str
    key: str
    lost: list[str]


@dataclass(frozen=True)
class Explained:
    """What became of one span or log record. `table` is empty when it has no row of its own."""

    kind: str
    name: str
    scope: str
    service: str
    role: str
    table: str
    row: dict[str, Any]
    slots: list[Slot]
    unmapped_keys: list[str]
    content_keys: list[str]


@dataclass
class Explanation:
    """`problems` has a line for each file and record that was not understood at all."""

    records: list[Explained] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def unmapped(self) -> list[Explained]:
        """What looks like a model call and is none to the hub."""
        return [record for record in self.records if record.role == UNMAPPED]


def explain(config: Config, paths: Iterable[Path], fmt: str, tenant: str) -> Explanation:
    """Put what is in `paths` through the views, with the aliases of `tenant`. Raises StoreError."""
    result = Explanation()
    requests = list(_requests(paths, fmt, result))
    with _throw_away(config) as store:
        for statement in _KEEP:
            store.execute(statement)
        _store(store, tenant, requests)
        result.problems += [
            f"rejected: {row['reason']}: {row['record']}"
            for row in store.rows("SELECT reason, record FROM rejected_records")
        ]
        result.records += _explained(store, tenant, ContentKeys(config.storage.content.keys))
    return result


def _requests(paths: Iterable[Path], fmt: str, result: Explanation) -> Iterator[tuple[Signal, bytes]]:
    for path in paths:
        try:
            yield from ((signal, body) for signal, body in read_exports(path, fmt) if signal != Signal.METRICS)
        except HubError as error:
            result.problems.append(str(error))
        except OSError as error:
            result.problems.append(f"{path}: {error.strerror or error}")


@contextmanager
def _throw_away(config: Config) -> Iterator[Store]:
    with tempfile.TemporaryDirectory(prefix="llmhub-map-", ignore_cleanup_errors=True) as directory:
        store = prepare_store(config.with_dsn(f"chdb://{directory}/store"))
        try:
            yield store
        finally:
            store.close()


def _store(store: Store, tenant: str, requests: list[tuple[Signal, bytes]]) -> None:
    letters = DeadLetters(store, Cipher(bytes(32)))
    writer = Writer(store, Breaker(), letters, CollectorMetrics(CollectorRegistry()))
    for signal in Signal:
        batch = [
            wrap(signal, tenant, body, request_id=number, received_ns=time.time_ns())
            for number, (each, body) in enumerate(requests)
            if each == signal
        ]
        if batch:
            writer.write(batch)


def _explained(store: Store, tenant: str, content_keys: ContentKeys) -> Iterator[Explained]:
    aliases = {
        row["lookup"]: (row["rank"], row["slot"])
        for row in store.rows("SELECT lookup, rank, slot FROM llm_aliases WHERE key != ''")
    }
    kept = _by_record(store, "kept_spans", "duration", "*, pairs")
    rows = {
        "llm_calls": _by_record(store, "llm_calls", "1e9 * duration"),
        "llm_steps": _by_record(store, "llm_steps", "1e9 * duration"),
        "llm_events": _by_record(store, "llm_events", "0"),
    }
    content: dict[tuple[str, ...], list[str]] = {}
    for record in store.rows(_RECORDS.format(spans="kept_otlp_spans", logs="kept_otlp_log_records")):
        content.setdefault(_key(record), sorted(_content_of(record, content_keys)))
    for record in store.rows(_RECORDS.format(spans="otel_traces", logs="otel_logs")):
        span = _find(kept, record)
        table, row = next(((table, row) for table, found in rows.items() if (row := _find(found, record))), ("", {}))
        keys = record["attributes"].keys() - _content_of(record, content_keys)
        known = {key for key in keys if key in aliases or f"{tenant}\n{key}" in aliases}
        yield Explained(
            **{name: record[name] for name in ("kind", "name", "scope", "service")},
            role=span.get("role", ""),
            table=table,
            row={name: value for name, value in row.items() if value and name not in _NOT_SHOWN},
            slots=_slots(record, dict(reversed(span["pairs"])), aliases, tenant) if span else [],
            unmapped_keys=sorted(keys - known),
            content_keys=content.get(_key(record), []),
        )


def _content_of(record: dict[str, Any], keys: ContentKeys) -> set[str]:
    scope = record["scope"] if record["kind"] == "span" else ""
    return {key for key in record["attributes"] if keys.has(key, scope)}


def _by_record(store: Store, table: str, duration: str, columns: str = "*") -> dict[tuple[str, ...], dict[str, Any]]:
    """The rows of spans by their ids, those of log records by their time, too."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in store.rows(f"SELECT {columns}, {_END.format(duration)} FROM {table}"):
        log = row.get("source") == "log" or table == "llm_events"
        ids = (row["trace_id"], row["span_id"])
        name = row["event_name"] if table == "llm_events" else row["span_name"]
        # A step does not tell what it comes of.
        for key in [("log", *ids, name, row["end"])] if log else [("span", *ids), ("log", *ids, name, row["end"])]:
            found.setdefault(key, row)
    return found


def _find(found: Mapping[tuple[str, ...], dict[str, Any]], record: Mapping[str, Any]) -> dict[str, Any]:
    return found.get(_key(record), {})


def _key(record: Mapping[str, Any]) -> tuple[str, ...]:
    ids = (record["trace_id"], record["span_id"])
    return ("span", *ids) if record["kind"] == "span" else ("log", *ids, record["name"], record["time"])


def _slots(
    record: Mapping[str, Any], slots: Mapping[str, str], aliases: Mapping[str, tuple[str, str]], tenant: str
) -> list[Slot]:
    """Of the keys that may fill a slot, best first, the first with the value that the views have chosen is the winner."""
    candidates: list[tuple[str, str, str, str]] = []
    for attributes, of_resource in ((record["attributes"], False), (record["resource"], True)):
        for key, value in attributes.items():
            for lookup in [key] if of_resource else [f"{tenant}\n{key}", key]:
                rank, slot = aliases.get(lookup, ("", ""))
                if slot and (not of_resource or may_come_from_resource(slot)):
                    candidates.append((rank, slot, key, value))
    result = []
    for slot in sorted({candidate[1] for candidate in candidates}):
        of_slot = sorted((each for each in candidates if each[1] == slot), key=lambda each: each[0])
        winner = next((each[2] for each in of_slot if slot in slots and each[3].strip('"') == slots[slot]), "")
        result.append(Slot(slot, winner, [each[2] for each in of_slot if each[2] != winner]))
    return result
