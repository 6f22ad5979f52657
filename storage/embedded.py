"""The embedded store: chDB in this process, on one directory."""

from __future__ import annotations

import ctypes
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeAlias

from storage import checkpoint
from storage.deduplication import forget_missing_parts
from storage.ownership import DirectoryLock, Owner, StoreBusy, read_owner
from storage.pool import Gate, Pool
from storage.statement import (
    check_read,
    escape,
    escape_params,
    insert_statement,
    quote,
    quote_name,
    settings_list,
    with_infile,
)
from storage.store import DATABASE, Limits, StoreError, decode_rows

Settings: TypeAlias = Mapping[str, str | int | float]

_LIBC = ctypes.CDLL(None, use_errno=True)
# Beside a busy insert a merge gets a quarter of a core: enough to keep up with inserts, and they hardly notice.
_MERGE_NICE = 5
# What is larger is written as it is, smaller parts together.
_FILE_BUFFER_BYTES = 64 << 10
_PROBE_SCOPE = re.compile(r": In scope SELECT formatQuery\(.*(?= \([A-Z_]+\)\Z)", re.DOTALL)

__all__ = ["EmbeddedStore", "Owner", "StoreBusy", "read_owner"]


class Handle:
    """One chDB connection with its own settings and current database. Not thread-safe.

    A statement that fails halfway leaves the rows it had written in the connection, and chDB puts them in front
    of the next result, which may be somebody else's. So a connection is not used again after a failure.
    """

    def __init__(self, address: str, database: str, settings: Settings | None = None) -> None:
        self._address = address
        self._database = database
        self._settings = dict(settings or {})
        self._connection: Any = None
        self._connect()

    def set(self, settings: Settings) -> None:
        self.query(f"SET {settings_list(settings)}")
        self._settings.update(settings)

    def use(self, database: str) -> None:
        if database != self._database:
            self.query(f"USE {quote_name(database)}")
            self._database = database

    def query(self, sql: str, fmt: str = "TSV", params: Mapping[str, str] | None = None) -> bytes:
        with self._sound_connection() as connection:
            return bytes(connection.query(sql, fmt, params=dict(params or {})).bytes())

    def canonical(self, sql: str) -> str:
        """`sql` as the engine's own parser understands it: one statement without comments. Raises StoreError."""
        try:
            result = self.query("SELECT formatQuery({sql:String})", "TSVRaw", {"sql": escape(sql)})
        except StoreError as error:
            raise StoreError.parse(_PROBE_SCOPE.sub("", error.message)) from error
        return result.decode("utf-8", "replace")

    def insert(self, statement: str, *data: bytes, fmt: str) -> int:
        """Insert `data`, parts of one text in `fmt`, through an INSERT that ends before FORMAT; returns the rows written.

        The data goes through a file in memory and not through chDB's `send_insert`: that one reports success
        although a materialised view behind the table has failed, and the view's rows are lost.
        """
        with _memory_file(data) as path, self._sound_connection() as connection:
            result = connection.query(f"{with_infile(statement, path)} FORMAT {fmt}", "TSV")
            return int(result.rows_read())

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _sound_connection(self) -> Iterator[Any]:
        if self._connection is None:
            self._connect()
        try:
            yield self._connection
        except BaseException as error:
            self.close()
            if isinstance(error, RuntimeError):  # which chDB raises for everything that the engine refuses
                raise StoreError.parse(str(error)) from error
            raise

    def _connect(self) -> None:
        import chdb  # half a gigabyte, which commands that ask a running hub do without

        try:
            self._connection = chdb.connect(self._address)  # type: ignore[no-untyped-call]
            self._connection.query(f"USE {quote_name(self._database)}", "Null")
            if self._settings:
                self._connection.query(f"SET {settings_list(self._settings)}", "Null")
        except RuntimeError as error:
            self.close()
            raise StoreError.parse(str(error)) from error


class EmbeddedStore:
    """chDB on the directory `path` (created with mode 0700), owned by this process until `close`.

    Readers are `readonly=1` handles with time, memory and result limits; a query waits a bounded time for one.
    Inserts and other statements have handles of their own, so that neither waits for a reader.
    """

    def __init__(self, path: str | Path, limits: Limits | None = None) -> None:
        self.path = Path(path)
        self.limits = limits or Limits()
        self.database = DATABASE
        self.dictionary_source = f"DB {quote(DATABASE)}"
        self._flushing = threading.Lock()
        self._closed = False
        self._lock = _own(self.path)
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise

    def _open(self) -> None:
        address = str(self.path)
        if self.limits.engine_memory_bytes:
            address += f"?max_server_memory_usage={self.limits.engine_memory_bytes}"
        self._address = address
        try:
            checkpoint.restore(self.path)
            forget_missing_parts(self.path)
            self.flush()
        except OSError as error:
            raise StoreError(f"cannot open the embedded store in {self.path}: {error}") from error
        control = Handle(address, "default")
        control.query(f"CREATE DATABASE IF NOT EXISTS {quote_name(self.database)}")
        control.use(self.database)
        # Two, for a statement may be there to end another one.
        self._control = Pool("statement handles", [control, Handle(address, self.database)])
        self._writers = Pool("writers", [Handle(address, self.database) for _ in range(self.limits.writers)])
        self._readers = Pool("readers", [self._reader() for _ in range(self.limits.readers)])
        # The hub's own questions, asked before each acknowledgement, do not queue behind anybody's dashboards.
        self._own_readers = Pool("own readers", [self._reader() for _ in range(self.limits.writers + 1)])
        self._guests = Gate("client writers", self.limits.client_writers)

    def merges_give_way(self) -> None:
        """Lower the priority of the threads that merge, which exist once there is a table; without effect but on Linux.
        A large merge takes minutes, and inserts must not wait for it. chDB ignores os_threads_nice_value_merge_mutate."""
        for task in Path("/proc/self/task").glob("*"):
            with suppress(OSError):
                if (task / "comm").read_text().strip() == "MergeMutate":
                    os.setpriority(os.PRIO_PROCESS, int(task.name), _MERGE_NICE)

    def _reader(self, database: str | None = None, settings: Settings | None = None) -> Handle:
        merged = {**self.limits.settings(), **(settings or {}), "readonly": 1}
        return Handle(self._address, database or self.database, merged)

    def query(self, sql: str, *, fmt: str = "JSONEachRow", params: Mapping[str, str] | None = None) -> bytes:
        return self._read(self._own_readers, sql, fmt, escape_params(sql, params), None, None)

    def rows(self, sql: str, *, params: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        return decode_rows(self.query(sql, params=params))

    def execute(self, sql: str) -> None:
        with self._control.take() as handle:
            handle.query(sql)

    def insert(self, table: str, *data: bytes, fmt: str, settings: Mapping[str, str | int] | None = None) -> None:
        statement = insert_statement(table, settings)
        with self._writers.take() as handle:
            handle.insert(statement, *data, fmt=fmt)

    def read(
        self,
        sql: str,
        *,
        fmt: str,
        escaped_params: Mapping[str, str] | None = None,
        database: str | None = None,
        settings: Settings | None = None,
    ) -> bytes:
        """A client's query: parameters already in ClickHouse's escaping, any database, settings of its own.

        `settings` win over the limits: the caller decides which of them a client may choose.
        """
        return self._read(self._readers, sql, fmt, escaped_params, database, settings)

    def _read(
        self,
        pool: Pool[Handle],
        sql: str,
        fmt: str,
        params: Mapping[str, str] | None,
        database: str | None,
        settings: Settings | None,
    ) -> bytes:
        with pool.take(self.limits.reader_wait_seconds) as handle:
            check_read(handle.canonical(sql))
            if settings:
                result = self._read_apart(sql, fmt, params, database, settings)
            else:
                handle.use(database or self.database)
                result = handle.query(sql, fmt, params)
        return self.limits.bounded(result)

    def _read_apart(
        self, sql: str, fmt: str, params: Mapping[str, str] | None, database: str | None, settings: Settings
    ) -> bytes:
        handle = self._reader(database, settings)
        try:
            return handle.query(sql, fmt, params)
        finally:
            handle.close()

    @contextmanager
    def writing(self, *, database: str | None = None, settings: Settings | None = None) -> Iterator[Handle]:
        """A fresh handle with `settings` of its own, for one statement of a client that may write."""
        with self._guests.admit(self.limits.reader_wait_seconds):
            handle = Handle(self._address, database or self.database, settings)
            try:
                yield handle
            finally:
                handle.close()

    def advertise(self, url: str) -> None:
        """Record the address of this process's ClickHouse HTTP endpoint for `read_owner`."""
        self._lock.write(url)

    def flush(self) -> None:
        """Write the file system of the directory to its disk: far cheaper than an fsync of every file of every insert. What
        is there then is what the store goes back to after a loss of power. Thread-safe."""
        with self._flushing:
            if self._closed:  # and noted; the directory may be another's by now
                self._sync()
                return
            try:
                checkpoint.take(self.path, self._sync)
            except OSError as error:
                raise StoreError(f"cannot write {self.path} to its disk: {error.strerror or error}") from error

    def _sync(self) -> None:
        fd = os.open(self.path, os.O_RDONLY)
        try:
            if sys.platform == "linux" and _LIBC.syncfs(fd) != 0:
                raise StoreError(f"cannot write {self.path} to its disk: {os.strerror(ctypes.get_errno())}")
        finally:
            os.close(fd)

    def close(self) -> None:
        self._guests.close()
        for pool in (self._own_readers, self._readers, self._writers, self._control):
            pool.close(Handle.close)
        if not self._closed:
            with suppress(StoreError):
                self.flush()
            self._closed = True
            self._lock.release()


def _own(path: Path) -> DirectoryLock:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return DirectoryLock(path)
    except OSError as error:
        raise StoreError(
            f"cannot open the embedded store in {path}: {error.strerror or error}. Run this as the user who owns it, or "
            "set storage.dsn (--store) to another directory"
        ) from error


@contextmanager
def _memory_file(data: Iterable[bytes]) -> Iterator[str]:
    """A path that reads as `data`; nothing of it reaches a disk where the platform has files in memory."""
    with _unnamed_file() as file:
        file.writelines(data)
        file.flush()
        file.seek(0)
        yield f"/dev/fd/{file.fileno()}"


def _unnamed_file() -> IO[bytes]:
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("insert"), "w+b", _FILE_BUFFER_BYTES)
    return tempfile.TemporaryFile(buffering=_FILE_BUFFER_BYTES)
