"""The numbered schema: what is applied, what is pending, and applying it.

Files are `storage/sql/NNNN_name.sql`; a statement ends with `;` at the end of a line. They only go
forward: the checksum of an applied file is recorded in `schema_migrations`, and a file that no
longer matches its record is an error, not a change.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from importlib import resources

from storage import content
from storage import otlp_schema as otlp
from storage.sql import expand, fill, fragments, split
from storage.store import Store

MIN_TIME = "2010-01-01"
MIN_TIME_UNIX_NANO = 1_262_304_000_000_000_000
MAX_TIME_UNIX_NANO = 2**63 - 1
MAX_FUTURE_HOURS = 24
MAX_FUTURE_NANOSECONDS = MAX_FUTURE_HOURS * 3600 * 10**9

SPAN_LEAVES = (
    "trace_id, span_id, trace_state, parent_span_id, name, kind, start_ns, end_ns, event_ns, event_name, "
    "event_attributes, link_trace_id, link_span_id, link_trace_state, link_attributes, status_message, status_code"
)
LOG_LEAVES = "time_ns, observed_ns, severity_number, severity_text, flags, trace_id, span_id, event_name"
_DICTIONARY = re.compile(r"^CREATE DICTIONARY IF NOT EXISTS ", re.MULTILINE)
_VIEW = re.compile(r"^CREATE VIEW IF NOT EXISTS ", re.MULTILINE)
_CREATE = re.compile(r"^CREATE (TABLE|MATERIALIZED VIEW|DICTIONARY|VIEW) ", re.MULTILINE)


class SchemaError(Exception):
    """The store's schema and this program's do not fit together."""


@dataclass(frozen=True)
class Migration:
    """One numbered file with its placeholders filled in."""

    number: int
    name: str
    statements: tuple[str, ...]
    checksum: str


def migrations(database: str, dictionary_source: str = "") -> list[Migration]:
    """All migrations of this program for a store, in order; the arguments are attributes of the store."""
    folder = resources.files("storage.sql")
    shared = {**_generated(), **fragments()}
    values = {"database": database, "dictionary_source": dictionary_source}
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [_migration(file.name, expand(file.read_text(encoding="utf-8"), shared), values) for file in files]


def pending(store: Store) -> list[Migration]:
    """The migrations that `store` lacks, in order. Raises SchemaError when an applied one has changed."""
    known = migrations(store.database, store.dictionary_source)
    exists = store.rows("SELECT 1 FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations'")
    rows = store.rows("SELECT number, name, checksum FROM schema_migrations") if exists else []
    applied = {row["number"]: row for row in rows}
    _check_applied(known, applied)
    return [migration for migration in known if migration.number not in applied]


def apply(store: Store) -> list[Migration]:
    """Apply what is pending; returns it. Safe to run again after an interruption."""
    todo = pending(store)
    store.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations (number UInt32, name String, checksum String, "
        "applied_at DateTime64(3) DEFAULT now64(3)) ENGINE = MergeTree ORDER BY number"
    )
    for migration in todo:
        for statement in migration.statements:
            store.execute(statement)
        record = {"number": migration.number, "name": migration.name, "checksum": migration.checksum}
        store.insert("schema_migrations", json.dumps(record).encode(), fmt="JSONEachRow")
    if todo and todo[0].number > 1:
        _refresh_views(store)
    return todo


def refresh_dictionaries(store: Store) -> None:
    """Make the dictionaries log in as the store does now: their definition holds the user and password."""
    for migration in migrations(store.database, store.dictionary_source):
        for statement in migration.statements:
            if _DICTIONARY.search(statement):
                store.execute(_DICTIONARY.sub("CREATE OR REPLACE DICTIONARY ", statement))


def _refresh_views(store: Store) -> None:
    """A view keeps the columns it was created with; one with `SELECT *` shall have those that its table got since."""
    for migration in migrations(store.database, store.dictionary_source):
        for statement in migration.statements:
            if _VIEW.search(statement):
                store.execute(_VIEW.sub("CREATE OR REPLACE VIEW ", statement))


def _check_applied(known: list[Migration], applied: dict[int, dict[str, str]]) -> None:
    for migration in known:
        record = applied.get(migration.number)
        if record and record["checksum"] != migration.checksum:
            raise SchemaError(
                f"{migration.name} was applied to this store in another form: an applied migration must not change. "
                "Use the program version that made the store, or start with an empty one (storage.dsn)"
            )
    newest = max((migration.number for migration in known), default=0)
    unknown = sorted(number for number in applied if number > newest)
    if unknown:
        raise SchemaError(
            f"the store has migration {unknown[-1]}, this program knows {newest}: install the newer program"
        )


def _migration(file_name: str, text: str, values: dict[str, str]) -> Migration:
    """The checksum leaves out what belongs to the store, such as its password, and not to the schema."""
    portable = fill(text, dict.fromkeys(values, ""))
    checksum = hashlib.sha256(portable.encode()).hexdigest()
    # Interrupted half-way, a file is applied again from its start.
    statements = tuple(fill(_CREATE.sub(r"CREATE \1 IF NOT EXISTS ", part), values) for part in split(text))
    return Migration(int(file_name[:4]), file_name.removesuffix(".sql"), statements, checksum)


def _in_time(nanoseconds: str) -> str:
    return f"({nanoseconds} BETWEEN {MIN_TIME_UNIX_NANO} AND received_ns + {MAX_FUTURE_NANOSECONDS})"


def _generated() -> dict[str, str]:
    """The SQL that is generated, by the name of its placeholder."""
    return {
        **{f"landing_columns_{signal}": otlp.landing_columns(signal) for signal in otlp.SIGNALS},
        **{name: otlp.attributes_map(name) for name in ("resource_attributes", "scope_attributes")},
        "attributes": otlp.picked_map("attribute_key", "attribute"),
        "span_attributes": otlp.picked("request.resource_spans.scope_spans.spans.attributes.value", "attribute", 4),
        "log_attributes": otlp.picked("request.resource_logs.scope_logs.log_records.attributes.value", "attribute", 4),
        "event_attributes": otlp.attributes_map("e"),
        "point_attributes": otlp.attributes_map("point.attributes"),
        "body": otlp.picked_text("body"),
        "log_body": otlp.picked("request.resource_logs.scope_logs.log_records.body", "body", 3),
        "metric_fields": otlp.metric_fields(),
        "span_leaves": ", ".join([SPAN_LEAVES, "attribute_key", *otlp.picked_columns("attribute")]),
        "log_leaves": ", ".join(
            [LOG_LEAVES, "attribute_key", *otlp.picked_columns("attribute"), *otlp.picked_columns("body")]
        ),
        "content_key": content.key_sql("key"),
        "time_in_range": _in_time("t"),
        "point_in_time": _in_time("p.time_unix_nano"),
        "min_time": MIN_TIME,
        "min_time_unix_nano": str(MIN_TIME_UNIX_NANO),
        "max_time_unix_nano": str(MAX_TIME_UNIX_NANO),
        "max_future_hours": str(MAX_FUTURE_HOURS),
        "max_future_nanoseconds": str(MAX_FUTURE_NANOSECONDS),
    }
