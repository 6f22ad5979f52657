"""Running a request against the store with the rights of its user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from storage.embedded import EmbeddedStore
from storage.endpoint.handshake import answer, is_handshake
from storage.endpoint.inserts import MAX_STATEMENT_BYTES, Insert, split_insert
from storage.endpoint.request import Call
from storage.endpoint.settings import EndpointUser
from storage.statement import check_write, is_read, named_format
from storage.store import Limits, StoreError

# What a read-only client may choose; each was looked at for what it could reach or exhaust.
_FREE_SETTINGS = frozenset(
    """additional_table_filters date_time_output_format extremes final join_use_nulls limit offset max_block_size
    max_result_rows max_threads output_format_decimal_trailing_zeros output_format_json_array_of_rows
    output_format_json_named_tuples_as_objects output_format_json_quote_64bit_floats
    output_format_json_quote_64bit_integers output_format_json_quote_decimals output_format_json_quote_denormals
    output_format_write_statistics session_timezone""".split()  # noqa: SIM905
)
# A client may lower these, never raise them.
_LIMITS = ("max_execution_time", "max_memory_usage", "max_result_bytes")

# Table functions and engines that stay inside the store. All others are refused to clients that write.
_INSIDE = frozenset(
    """alias atomic buffer cluster clusterallreplicas dictionary distributed format generate_series generaterandom
    generateseries input join log loop materializedview memory merge mergetreeanalyzeindexes
    mergetreeanalyzeindexesuuid mergetreecodecblockcounts mergetreeindex mergetreeprojection mergetreetextindex null
    numbers numbers_mt ordinary primes replicated set sqlstandardvalues stripelog timeseries tinylog values view
    viewexplain viewifpermitted zeros zeros_mt""".split()  # noqa: SIM905
)
_DICTIONARY_SOURCES = frozenset(("http", "executable", "executable_pool", "cassandra"))  # beside names from above


@dataclass(frozen=True)
class Engine:
    """What the engine says about itself, asked once; `host_names` as in `statement.check_write`."""

    display_name: str
    version: str
    timezone: str
    host_names: frozenset[str]

    @classmethod
    def ask(cls, store: EmbeddedStore, display_name: str) -> Engine:
        facts = store.rows("SELECT version() AS version, timezone() AS timezone")[0]
        names = store.rows(
            "SELECT lower(name) AS name FROM system.table_functions UNION ALL SELECT lower(name) FROM "
            "system.table_engines UNION ALL SELECT lower(name) FROM system.database_engines"
        )
        outside = {row["name"] for row in names if not row["name"].endswith("mergetree")} - _INSIDE
        # Go knows "Etc/UTC" only where the time zone database is installed.
        timezone = "UTC" if facts["timezone"] == "Etc/UTC" else facts["timezone"]
        return cls(display_name, facts["version"], timezone, frozenset(outside) | _DICTIONARY_SOURCES)


@dataclass(frozen=True)
class Result:
    """A finished statement; `fmt` is '' when it has no rows to return."""

    body: bytes = b""
    fmt: str = ""
    written_rows: int = 0


class Executor:
    """Blocking and thread-safe."""

    def __init__(self, store: EmbeddedStore, engine: Engine) -> None:
        self._store = store
        self._engine = engine

    def run(self, user: EndpointUser, call: Call) -> Result:
        """Raises StoreError."""
        if user.readonly or call.reads_only:
            return self._read(call)
        insert = split_insert(call.text)
        return self._insert(call, insert) if insert else self._statement(call)

    def _read(self, call: Call) -> Result:
        sql = _sql(call.text)
        if call.protocol_version and is_handshake(sql):
            return self._handshake(call)
        body = self._store.read(
            sql,
            fmt=call.fmt,
            escaped_params=call.params,
            database=call.database,
            settings=_reader_settings(call.settings, self._store.limits),
        )
        return Result(body, named_format(sql) or call.fmt)

    def _handshake(self, call: Call) -> Result:
        engine = self._engine
        body = answer(call.protocol_version, engine.display_name, engine.version, engine.timezone)
        return Result(body, "Native")

    def _insert(self, call: Call, insert: Insert) -> Result:
        _check_reach(call)
        with self._store.writing(database=call.database, settings=call.settings) as handle:
            canonical = handle.canonical(f"{insert.statement} FORMAT {insert.fmt}")
            check_write(canonical, self._engine.host_names)
            return Result(written_rows=handle.insert(insert.statement, insert.data, fmt=insert.fmt))

    def _statement(self, call: Call) -> Result:
        sql = _sql(call.text)
        if call.protocol_version and is_handshake(sql):
            return self._handshake(call)
        limits = self._store.limits
        _check_reach(call)
        with self._store.writing(database=call.database, settings=call.settings) as handle:
            canonical = handle.canonical(sql)
            check_write(canonical, self._engine.host_names)
            if not is_read(canonical):
                return Result(handle.query(sql, call.fmt, call.params))
            handle.set({**limits.settings(), **_lowered(call.settings, limits)})
            return Result(limits.bounded(handle.query(sql, call.fmt, call.params)), named_format(sql) or call.fmt)


def _check_reach(call: Call) -> None:
    """What a client that may write must not choose beside its SQL; see `statement.check_write`."""
    if call.database == "default":
        raise StoreError.clickhouse(497, "ACCESS_DENIED", "The database default shows the files of the host.")
    for name in call.settings or ():
        if name.startswith(("format_template", "format_schema_path", "disk")):
            raise StoreError.clickhouse(497, "ACCESS_DENIED", f"{name} reaches beyond the store.")


def _reader_settings(asked: Mapping[str, str], limits: Limits) -> dict[str, str | int | float]:
    return {**{name: asked[name] for name in asked if name in _FREE_SETTINGS}, **_lowered(asked, limits)}


def _lowered(asked: Mapping[str, str], limits: Limits) -> dict[str, str | int | float]:
    ours = limits.settings()
    lowered: dict[str, str | int | float] = {}
    for name in _LIMITS:
        try:
            wanted = float(asked.get(name, 0))
        except ValueError:
            continue
        if 0 < wanted < float(ours[name]):
            lowered[name] = wanted if name == "max_execution_time" else int(wanted)
    return lowered


def _sql(text: bytes) -> str:
    if len(text) > MAX_STATEMENT_BYTES:
        raise StoreError.clickhouse(62, "SYNTAX_ERROR", f"Max query size exceeded: {MAX_STATEMENT_BYTES} bytes.")
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise StoreError.clickhouse(62, "SYNTAX_ERROR", "Syntax error: the statement is not UTF-8.") from error
