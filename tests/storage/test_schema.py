"""The schema is applied once, in order, and never changed behind its back."""

from __future__ import annotations

import dataclasses
import re

import pytest

from storage import reference, schema
from storage.embedded import EmbeddedStore
from storage.schema import Migration, SchemaError


def test_applying_twice_leaves_nothing_to_do(llm_store: EmbeddedStore) -> None:
    assert schema.apply(llm_store) == []
    assert schema.pending(llm_store) == []


def test_reference_data_is_loaded_only_when_it_changes(llm_store: EmbeddedStore) -> None:
    reference.load(llm_store)  # other tests have data of their own
    assert reference.load(llm_store) == []


def test_every_migration_is_recorded_with_its_checksum(llm_store: EmbeddedStore) -> None:
    rows = llm_store.rows("SELECT number, name, checksum FROM schema_migrations ORDER BY number")
    known = schema.migrations(llm_store.database)
    assert rows == [{"number": m.number, "name": m.name, "checksum": m.checksum} for m in known]


def test_migrations_are_numbered_without_a_gap() -> None:
    numbers = [migration.number for migration in schema.migrations("llm")]
    assert numbers == list(range(1, len(numbers) + 1))


def test_no_placeholder_is_left_in_a_statement() -> None:
    for migration in schema.migrations("llm"):
        for statement in migration.statements:
            assert "${" not in statement


def test_a_password_is_not_taken_for_a_placeholder() -> None:
    source = "DB 'llm' USER 'hub' PASSWORD '${database} ${price} ${other};\n'"
    statements = [statement for migration in schema.migrations("llm", source) for statement in migration.statements]
    assert len(statements) == sum(len(migration.statements) for migration in schema.migrations("llm"))
    assert all(source in statement for statement in statements if "CREATE DICTIONARY" in statement)


def test_a_checksum_does_not_depend_on_the_store() -> None:
    checksums = [
        [migration.checksum for migration in schema.migrations(*store)] for store in (("llm",), ("x", "PASSWORD 'y'"))
    ]
    assert checksums[0] == checksums[1]


def test_a_migration_that_changed_after_it_was_applied_is_an_error(
    llm_store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = schema.migrations(llm_store.database)
    edited = [dataclasses.replace(known[0], checksum="other"), *known[1:]]
    monkeypatch.setattr(schema, "migrations", lambda *store: edited)
    with pytest.raises(SchemaError, match=f"{known[0].name} was applied to this store in another form"):
        schema.pending(llm_store)


def test_a_store_of_a_newer_program_is_refused(llm_store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    known = schema.migrations(llm_store.database)
    monkeypatch.setattr(schema, "migrations", lambda *store: known[:-1])
    with pytest.raises(SchemaError, match="install the newer program"):
        schema.pending(llm_store)


def test_a_view_has_the_columns_that_its_table_gets_later(
    llm_store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = schema.migrations(llm_store.database)

    def apply(name: str, statement: str) -> None:
        later = Migration(len(known) + 1, name, (statement,), "sum")
        monkeypatch.setattr(schema, "migrations", lambda *store: [*known, later])
        assert schema.apply(llm_store) == [later]
        llm_store.execute(
            f"ALTER TABLE schema_migrations DELETE WHERE number = {later.number} SETTINGS mutations_sync = 1"
        )

    apply("9998_column", "ALTER TABLE llm_calls ADD COLUMN IF NOT EXISTS later UInt8")
    try:
        for view in ("llm_calls_enriched", "llm_calls_billing"):
            llm_store.rows(f"SELECT later FROM {view} LIMIT 1")
    finally:
        apply("9999_no_column", "ALTER TABLE llm_calls DROP COLUMN later")


def test_a_pending_migration_is_planned_but_not_applied(
    llm_store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = schema.migrations(llm_store.database)
    extra = Migration(len(known) + 1, "9999_extra", ("CREATE TABLE planned_only (x UInt8) ENGINE = Null",), "sum")
    monkeypatch.setattr(schema, "migrations", lambda *store: [*known, extra])
    assert schema.pending(llm_store) == [extra]
    assert llm_store.rows("SELECT count() AS n FROM system.tables WHERE name = 'planned_only'") == [{"n": 0}]


@pytest.mark.parametrize(
    ("table", "tenant", "service", "kind", "time"),
    [
        ("llm_calls", "tenant", "service", "model", "timestamp"),
        ("llm_steps", "tenant", "service", "role", "timestamp"),
        ("otel_traces", "Tenant", "ServiceName", "SpanName", "Timestamp"),
    ],
)
def test_five_minutes_are_found_without_reading_the_hour(
    llm_store: EmbeddedStore, table: str, tenant: str, service: str, kind: str, time: str
) -> None:
    llm_store.execute(f"CREATE TABLE an_hour AS {table}")
    try:
        llm_store.execute(
            f"INSERT INTO an_hour ({tenant}, {service}, {kind}, {time}) "
            "SELECT 'default', 'chat', 'x', toDateTime64('2026-11-02 10:00:00', 9, 'UTC') + number * 0.0144 FROM numbers(250000)"
        )
        llm_store.execute("OPTIMIZE TABLE an_hour FINAL")
        plan = llm_store.rows(
            f"EXPLAIN indexes = 1 SELECT count({tenant}) FROM an_hour WHERE {tenant} = 'default' AND {service} = 'chat' "
            f"AND {time} BETWEEN toDateTime64('2026-11-02 10:30:00', 9, 'UTC') AND toDateTime64('2026-11-02 10:35:00', 9, 'UTC')"
        )
        steps = [
            row["explain"].split(":")[1].split("/") for row in plan if re.search(r"Granules: \d+/", row["explain"])
        ]
        assert int(steps[0][1]) >= 30
        assert int(steps[-1][0]) <= 5
    finally:
        llm_store.execute("DROP TABLE an_hour SYNC")
