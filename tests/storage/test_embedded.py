from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.embedded import EmbeddedStore, Owner, StoreBusy, read_owner
from storage.store import Limits, StoreError


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT file('{secret}')",
        "SELECT `f\\x69le`('{secret}')",
        "SELECT \"file\"('{secret}')",
        "SELECT arrayMap(file, ['{secret}'])",
        "WITH file AS f SELECT f('{secret}')",
        "SELECT /* */ file /**/ ('{secret}') -- file",
        "SELECT * FROM file('{secret}', 'LineAsString')",
        "DESCRIBE file('{secret}', 'LineAsString')",
        "SELECT (SELECT file('{secret}'))",
        "SELECT 1; SELECT file('{secret}')",
        "SELECT * FROM eval('SELECT file(''{secret}'')')",
        "SELECT * FROM url('file://{secret}', 'LineAsString')",
        "SELECT 1 INTO OUTFILE '{secret}'",
        "SELECT 1 INTO\nOUTFILE '{secret}' TRUNCATE FORMAT CSV",
        "EXPLAIN SELECT 1 INTO OUTFILE '{secret}' TRUNCATE",
        "INSERT INTO FUNCTION file('{secret}', 'CSV', 'a String') SELECT 'x'",
        "CREATE TEMPORARY TABLE t (a String) ENGINE = File(LineAsString, '{secret}')",
        "SELECT * FROM python(secret)",
        "SELECT * FROM executable('cat {secret}', TSV, 'a String')",
        "SELECT * FROM sqlite('{secret}', 't')",
    ],
)
def test_a_reader_cannot_touch_the_files_of_the_host(store: EmbeddedStore, tmp_path: Path, sql: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("do not read")
    with pytest.raises(StoreError) as failure:
        store.query(sql.replace("{secret}", str(secret)))
    assert "do not read" not in failure.value.message
    assert secret.read_text() == "do not read"


@pytest.mark.parametrize(
    "sql",
    ["KILL QUERY WHERE 1", "USE default", "SET param_x = 1", "SELECT 1 PARALLEL WITH SELECT 2", "?? tell me", ""],
)
def test_a_reader_runs_one_statement_that_reads(store: EmbeddedStore, sql: str) -> None:
    with pytest.raises(StoreError):
        store.query(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1;",
        "-- why\nSELECT 1",
        "(SELECT 1)",
        "WITH 1 AS x SELECT x",
        "FROM system.one SELECT 1",
        "SHOW TABLES FROM system",
        "EXPLAIN SELECT 1",
        "DESCRIBE system.one",
        "EXISTS TABLE system.one",
        "SELECT 'INTO OUTFILE file(1)' AS x, 1 AS outfile",
        "SELECT 1 AS profile, 'x' AS filename",
    ],
)
def test_a_reader_may_read_in_every_form(store: EmbeddedStore, sql: str) -> None:
    assert store.query(sql)


def test_a_syntax_error_is_about_the_statement_that_was_sent(store: EmbeddedStore) -> None:
    with pytest.raises(StoreError) as failure:
        store.query("SELECT 1 FROM t WHERE")
    assert "formatQuery" not in failure.value.message
    assert "position" in failure.value.message


@pytest.mark.parametrize("fmt", ["JSONEachRow", "TSV", "Native"])
def test_nothing_of_a_query_that_failed_halfway_comes_with_the_next_one(store: EmbeddedStore, fmt: str) -> None:
    for _ in range(store.limits.readers + 1):
        with pytest.raises(StoreError):
            store.query("SELECT throwIf(number = 300000) FROM numbers(1000000)", fmt=fmt)
    for _ in range(store.limits.readers + 1):
        assert store.query("SELECT 'clean'", fmt="TSV") == b"clean\n"


def test_a_handle_that_failed_keeps_its_settings_and_database(store: EmbeddedStore) -> None:
    with store.writing(database="system", settings={"max_threads": 3}) as handle:
        handle.set({"max_block_size": 17})
        handle.use("default")
        with pytest.raises(StoreError):
            handle.query("SELECT nope")
        sql = "SELECT currentDatabase(), getSetting('max_threads'), getSetting('max_block_size')"
        assert handle.query(sql) == b"default\t3\t17\n"


def test_parallel_queries_and_inserts_do_not_disturb_each_other(
    store: EmbeddedStore, table: Callable[[str], str]
) -> None:
    name = table("a UInt64")
    wrong: list[object] = []

    def work(number: int) -> None:
        try:
            for i in range(20):
                store.insert(name, f"{number * 1000 + i}\n".encode(), fmt="TSV")
                got = store.rows("SELECT {n:UInt64} AS n", params={"n": str(i)})
                wrong.extend(row for row in got if row != {"n": i})
        except StoreError as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert store.rows(f"SELECT count() AS n, uniqExact(a) AS u FROM {name}") == [{"n": 160, "u": 160}]


def in_a_process_of_its_own(code: str, *arguments: str) -> str:
    """What `code` prints; it gets a process because the engine serves one directory a process."""
    command = [sys.executable, "-c", f"import sys\nfrom storage.embedded import *\nfrom storage.store import *\n{code}"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_limits_stop_a_query_by_time_memory_result_and_wait(tmp_path: Path) -> None:
    code = """
import threading
limits = dict(readers=1, query_seconds=1.0, query_memory_bytes=50_000_000, result_bytes=1_000_000)
store = open_store("chdb://" + sys.argv[1], reader_wait_seconds=0.2, **limits)
def fails(sql):
    try:
        store.read(sql, fmt="TSV")
    except StoreError as error:
        print(error.code, error.name)
fails("SELECT sum(number) FROM numbers(1000000000000)")
fails("SELECT groupArray(number) FROM numbers(100000000)")
fails("SELECT number FROM numbers(1000000)")
fails("SELECT number, repeat('x', 20) FROM numbers(30000) FORMAT JSONEachRow")
thread = threading.Thread(target=fails, args=("SELECT sum(number) FROM numbers(1000000000000)",))
thread.start()
thread.join(0.3)
fails("SELECT 1")
print(store.rows("SELECT 2 AS own"))
thread.join()
print(store.rows("SELECT 1 AS still_alive"))
store.close()
"""
    lines = in_a_process_of_its_own(code, str(tmp_path / "db")).splitlines()
    assert lines == [
        "159 TIMEOUT_EXCEEDED",
        "241 MEMORY_LIMIT_EXCEEDED",
        "396 TOO_MANY_ROWS_OR_BYTES",
        "396 TOO_MANY_ROWS_OR_BYTES",
        "202 TOO_MANY_SIMULTANEOUS_QUERIES",
        "[{'own': 2}]",  # the hub itself does not wait for clients
        "159 TIMEOUT_EXCEEDED",
        "[{'still_alive': 1}]",
    ]


def test_what_was_inserted_is_there_when_the_directory_is_opened_again(tmp_path: Path) -> None:
    directory = str(tmp_path / "db")
    first = """
store = EmbeddedStore(sys.argv[1], Limits(engine_memory_bytes=1 << 30))
store.execute("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
store.insert("t", b"7\\n", fmt="TSV")
store.close()
store.close()
try:
    store.query("SELECT 1")
except StoreError as error:
    print(error.name)
print(EmbeddedStore(sys.argv[1]).rows("SELECT a FROM t"))
"""
    assert in_a_process_of_its_own(first, directory) == "ABORTED\n[{'a': 7}]\n"
    again = "print(EmbeddedStore(sys.argv[1]).rows('SELECT a FROM t'))"
    assert in_a_process_of_its_own(again, directory) == "[{'a': 7}]\n"
    assert os.stat(directory).st_mode & 0o777 == 0o700


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives threads priorities of their own")
def test_merges_give_way_to_inserts_and_nothing_else_does(tmp_path: Path) -> None:
    script = """
import os
from pathlib import Path
store = EmbeddedStore(sys.argv[1])
store.execute("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
store.merges_give_way()
names = {int(task.name): (task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()}
print(sorted({name for id, name in names.items() if os.getpriority(os.PRIO_PROCESS, id) > 0}))
"""
    assert in_a_process_of_its_own(script, str(tmp_path / "db")) == "['MergeMutate']\n"


def test_a_second_process_is_told_who_has_the_directory_and_where_to_ask(store: EmbeddedStore) -> None:
    store.advertise("http://127.0.0.1:8123")
    assert read_owner(store.path) == Owner(os.getpid(), "http://127.0.0.1:8123")
    code = """
try:
    EmbeddedStore(sys.argv[1])
except StoreBusy as busy:
    print(busy)
"""
    said = in_a_process_of_its_own(code, str(store.path))
    assert f"in use by process {os.getpid()}" in said
    assert "http://127.0.0.1:8123" in said


def test_the_same_directory_cannot_be_opened_twice_in_one_process(store: EmbeddedStore) -> None:
    with pytest.raises(StoreBusy):
        EmbeddedStore(store.path)


def test_a_directory_nobody_has_open_has_no_owner(tmp_path: Path) -> None:
    assert read_owner(tmp_path / "absent") is None
    code = "store = EmbeddedStore(sys.argv[1]); store.advertise('http://x'); import os; os._exit(0)"
    in_a_process_of_its_own(code, str(tmp_path / "db"))
    assert read_owner(tmp_path / "db") is None


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot open the embedded store in .*file/db"):
        EmbeddedStore(tmp_path / "file" / "db", Limits())
