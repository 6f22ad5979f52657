"""The ClickHouse HTTP interface as curl and hand-written clients use it."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.embedded import EmbeddedStore
from storage.endpoint import EndpointSettings, EndpointUser, clickhouse_app
from tests.storage.conftest import Endpoint, serve


@pytest.mark.parametrize("path", ["/ping", "/", "/replicas_status", "/clickhouse/ping", "/clickhouse/", ""])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_probes_answer_without_a_user(endpoint: Endpoint, path: str, method: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port)
    connection.request(method, path)
    response = connection.getresponse()
    assert response.status == 200
    assert response.read() == (b"Ok.\n" if method == "GET" else b"")
    assert response.headers["Content-Length"] == "4"
    connection.close()


def test_the_query_may_be_in_the_url_or_in_the_body_or_in_both(endpoint: Endpoint) -> None:
    assert endpoint.get("SELECT 1 AS x, 'a'").data == b"1\ta\n"
    assert endpoint.post("SELECT 1 AS x, 'a'").data == b"1\ta\n"
    assert endpoint.post("+ 1 AS x", query="SELECT 1").data == b"2\n"
    assert endpoint.send("HEAD", params={"query": "SELECT 1"}).headers["Content-Length"] == "2"


def test_the_format_is_taken_from_the_sql_then_the_header_then_the_parameter(endpoint: Endpoint) -> None:
    header = {"X-ClickHouse-Format": "CSV"}
    chosen = [
        endpoint.send("POST", "SELECT 'a' FORMAT JSONEachRow", headers=header, params={"default_format": "TSV"}),
        endpoint.send("POST", "SELECT 'a'", headers=header, params={"default_format": "TSV"}),
        endpoint.send("POST", "SELECT 'a'", params={"default_format": "JSONCompactEachRow"}),
        endpoint.send("POST", "SELECT 'a'"),
    ]
    assert [response.data for response in chosen] == [b'{"\'a\'":"a"}\n', b'"a"\n', b'["a"]\n', b"a\n"]
    names = [response.headers["X-ClickHouse-Format"] for response in chosen]
    assert names == ["JSONEachRow", "CSV", "JSONCompactEachRow", "TabSeparated"]
    types = [response.headers["Content-Type"].partition(";")[0] for response in chosen]
    assert types == ["application/json", "text/csv", "application/json", "text/tab-separated-values"]


def test_every_answer_says_what_clickhouse_says_in_headers(endpoint: Endpoint) -> None:
    response = endpoint.get("SELECT 1", query_id="my-id")
    assert response.headers["X-ClickHouse-Query-Id"] == "my-id"
    assert response.headers["X-ClickHouse-Timezone"]
    assert response.headers["X-ClickHouse-Server-Display-Name"] == "llmhub"
    assert all(isinstance(v, str) for v in json.loads(response.headers["X-ClickHouse-Summary"]).values())
    assert "\n" not in endpoint.get("SELECT 1", query_id="a\r\nX-Evil: 1").headers["X-ClickHouse-Query-Id"]


@pytest.mark.parametrize(
    ("sql", "status", "code", "name"),
    [
        ("SELEC", 404, 47, "UNKNOWN_IDENTIFIER"),
        ("SELECT 1 FROM t WHERE", 400, 62, "SYNTAX_ERROR"),
        ("SELECT * FROM no_such_table", 404, 60, "UNKNOWN_TABLE"),
        ("SELECT no_such_function(1)", 404, 46, "UNKNOWN_FUNCTION"),
        ("SELECT 1 FORMAT NoSuchFormat", 404, 73, "UNKNOWN_FORMAT"),
        ("SELECT {x:UInt8}", 400, 456, "UNKNOWN_QUERY_PARAMETER"),
        ("CREATE TABLE t (a UInt8) ENGINE = Memory", 403, 164, "READONLY"),
        ("SELECT file('/etc/hostname')", 403, 164, "READONLY"),
        ("SELECT * FROM file('/etc/hostname', 'LineAsString')", 403, 164, "READONLY"),
        ("SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')", 403, 164, "READONLY"),
        ("SELECT throwIf(1, 'why')", 500, 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        (b"SELECT '\xff\xfe'", 400, 62, "SYNTAX_ERROR"),
        ("SELECT '" + "x" * (2 << 20) + "'", 400, 62, "SYNTAX_ERROR"),
    ],
)
def test_errors_have_the_status_code_and_text_of_clickhouse(
    endpoint: Endpoint, sql: str | bytes, status: int, code: int, name: str
) -> None:
    response = endpoint.post(sql)
    assert (response.status, response.headers["X-ClickHouse-Exception-Code"]) == (status, str(code))
    text = response.data.decode()
    assert text.startswith(f"Code: {code}. DB::Exception: ")
    assert f"({name}) (version " in text
    assert text.endswith(" (official build))\n")
    assert text.count("(version") == 1


def test_an_unknown_database_is_an_error_and_a_known_one_is_used(endpoint: Endpoint) -> None:
    assert endpoint.get("SELECT currentDatabase()").data == b"llm\n"
    assert endpoint.get("SELECT currentDatabase()", database="system").data == b"system\n"
    header = {"X-ClickHouse-Database": "default"}
    assert endpoint.send("GET", headers=header, params={"query": "SELECT currentDatabase()"}).data == b"default\n"
    assert endpoint.get("SELECT currentDatabase()").data == b"llm\n"
    missing = endpoint.get("SELECT 1", database="no such `one")
    assert (missing.status, missing.headers["X-ClickHouse-Exception-Code"]) == (404, "81")


def test_parameters_are_bound(endpoint: Endpoint) -> None:
    sql = "SELECT {i:UInt8}, {s:String}, {a:Array(String)}, {t:Identifier}.dummy FROM {t:Identifier}"
    response = endpoint.get(sql, database="system", param_i="5", param_s="a\\tb", param_a="['x']", param_t="one")
    assert response.data == b"5\ta\\tb\t['x']\t0\n"


def test_credentials_come_as_basic_as_headers_or_in_the_url(endpoint: Endpoint) -> None:
    assert endpoint.send("GET", params={"query": "SELECT 1"}).status == 200
    headers = {"X-ClickHouse-User": "reader", "X-ClickHouse-Key": "reader", "X-ClickHouse-SSL-Certificate-Auth": "off"}
    assert endpoint.send("GET", user="", headers=headers, params={"query": "SELECT 1"}).status == 200
    nobody = endpoint.send("GET", user="", params={"query": "SELECT 1"})
    assert nobody.status == 401
    assert "Basic" in nobody.headers["WWW-Authenticate"]
    assert _as(endpoint, "reader", "reader") == (200, "")
    for name, password in [("reader", "x"), ("who", ""), ("default", ""), ("reader", "")]:
        assert _as(endpoint, name, password) == (403, "516")


def _as(endpoint: Endpoint, name: str, password: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port)
    connection.request("GET", f"/?query=SELECT%201&user={name}&password={password}")
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status, response.headers.get("X-ClickHouse-Exception-Code", "")


def test_without_users_the_default_user_may_read(store: EmbeddedStore) -> None:
    with serve(clickhouse_app(store, EndpointSettings())) as open_endpoint:
        assert open_endpoint.send("GET", user="", params={"query": "SELECT 1"}).data == b"1\n"
        assert _as(open_endpoint, "default", "") == (200, "")
        assert _as(open_endpoint, "default", "x") == (403, "516")
        refused = open_endpoint.send("POST", "CREATE TABLE x (a UInt8) ENGINE = Memory", user="")
        assert refused.headers["X-ClickHouse-Exception-Code"] == "164"


def test_a_password_may_be_given_as_its_digest() -> None:
    digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
    settings = EndpointSettings(users=(EndpointUser("u", password_sha256=digest),))
    assert settings.authenticate("u", "secret") is not None
    assert settings.authenticate("u", "Secret") is None
    assert settings.authenticate("v", "secret") is None
    assert "secret" not in repr(EndpointUser("u", "secret"))


@pytest.mark.parametrize(
    "wrong", [{"password_sha256": "abc"}, {"password": "a", "password_sha256": "0" * 64}, {"tenant": "acme"}]
)
def test_a_user_that_cannot_be_served_as_configured_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="user 'u'"):
        EndpointUser("u", **wrong)  # type: ignore[arg-type]


def test_get_only_reads_whoever_asks(endpoint: Endpoint) -> None:
    response = endpoint.get("CREATE TABLE test_get (a UInt8) ENGINE = Memory", user="writer")
    assert response.headers["X-ClickHouse-Exception-Code"] == "164"


def test_a_reader_may_choose_harmless_settings_and_lower_limits_only(endpoint: Endpoint) -> None:
    sql = "SELECT name, value FROM system.settings WHERE name IN ('max_threads', 'max_execution_time', 'readonly')"
    asked = {"max_threads": "1", "max_execution_time": "5", "readonly": "0", "allow_ddl": "1", "no_such_setting": "1"}
    chosen = dict(line.split("\t") for line in endpoint.get(sql, **asked).data.decode().splitlines())
    assert chosen == {"max_threads": "1", "max_execution_time": "5", "readonly": "1"}
    raised = dict(line.split("\t") for line in endpoint.get(sql, max_execution_time="500").data.decode().splitlines())
    assert raised["max_execution_time"] == "20"


def test_a_writer_creates_inserts_and_reads_with_settings(endpoint: Endpoint, table: Callable[[str], str]) -> None:
    name = table("a UInt64, b String")
    statement = f"INSERT INTO {name} FORMAT JSONEachRow"
    insert = endpoint.post('{"a":1,"b":"x"}', user="writer", query=statement, async_insert="1")
    assert (insert.status, insert.data) == (200, b"")
    assert json.loads(insert.headers["X-ClickHouse-Summary"])["written_rows"] == "1"
    assert "X-ClickHouse-Format" not in insert.headers
    assert endpoint.post(f"INSERT INTO {name} (a, b) VALUES (2, 'y'), (3, 'z')", user="writer").status == 200
    assert endpoint.post(f"INSERT INTO {name} SELECT 4, 'w'", user="writer").status == 200
    sql = f"SELECT sum(a), getSetting('max_threads') FROM {name} SETTINGS max_threads = 3"
    read = endpoint.post(sql, user="writer")
    assert read.data == b"10\t3\n"
    assert endpoint.post("SELECT getSetting('max_threads')", user="writer", max_threads="2").data == b"2\n"
    assert endpoint.post(f"DROP TABLE {name}", user="writer", readonly="1").status == 403
    unknown = endpoint.post(f"INSERT INTO {name} VALUES (1, '')", user="writer", no_such_setting="1")
    assert unknown.headers["X-ClickHouse-Exception-Code"] == "115"


@pytest.mark.parametrize(
    "sql", ["SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')", "SELECT file('/etc/hostname')"]
)
def test_a_writer_stays_inside_the_store(endpoint: Endpoint, sql: str) -> None:
    response = endpoint.post(sql, user="writer")
    assert (response.status, response.headers["X-ClickHouse-Exception-Code"]) == (403, "497")


def test_curl_works_as_in_the_manual(endpoint: Endpoint, table: Callable[[str], str], tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    name = table("a UInt64, b String")

    def curl(*arguments: str, data: bytes = b"") -> bytes:
        return subprocess.run(
            ["curl", "-sS", "--max-time", "20", *arguments], input=data, capture_output=True, check=True
        ).stdout

    assert curl(f"{endpoint.url}/ping") == b"Ok.\n"
    assert curl(f"{endpoint.url}/?query=SELECT%201&user=reader&password=reader") == b"1\n"
    assert curl("-u", "reader:reader", "-d", "SELECT 1 FORMAT JSONEachRow", endpoint.url) == b'{"1":1}\n'
    insert = f"{endpoint.url}/?query=INSERT%20INTO%20{name}%20FORMAT%20CSV"
    chunked = ("-H", "Transfer-Encoding: chunked", "--data-binary", "@-")
    assert curl("-u", "writer:writer", *chunked, insert, data=b'1,"x"\n2,"y"\n') == b""
    assert curl("-u", "reader:reader", "--compressed", "-d", f"SELECT sum(a) FROM {name}", endpoint.url) == b"3\n"
    (tmp_path / "q.sql").write_text("SELECT 1\nFORMAT Vertical")
    assert b"Row 1" in curl("-u", "reader:reader", "--data-binary", f"@{tmp_path}/q.sql", endpoint.url)
    form = ("-F", "query=SELECT {x:UInt8} + 1", "-F", "param_x=41")
    assert curl("-u", "reader:reader", *form, endpoint.url) == b"42\n"
    external = ("-F", "query=SELECT 1", "-F", f"t=@{tmp_path}/q.sql", f"{endpoint.url}/?t_structure=a%20String")
    assert b"Code: 48. DB::Exception" in curl("-u", "reader:reader", *external)


def test_a_connection_is_kept_alive_over_successes_and_errors(endpoint: Endpoint) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port)
    address = None
    for sql in ("SELECT%201", "SELECT%20nope", "SELECT%202"):
        connection.request("GET", f"/any/prefix/?query={sql}&user=reader&password=reader")
        connection.getresponse().read()
        address = address or connection.sock.getsockname()
        assert connection.sock.getsockname() == address
    connection.close()


def test_a_body_over_the_limit_is_refused_before_it_is_received(store: EmbeddedStore) -> None:
    users = (EndpointUser("w", readonly=False),)
    with serve(clickhouse_app(store, EndpointSettings(users=users, max_body_bytes=1000))) as small:
        with socket.create_connection(("127.0.0.1", small.port)) as raw:
            raw.sendall(b"POST /?user=w HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000000\r\n\r\n")
            assert b"413" in raw.recv(1000)
        with socket.create_connection(("127.0.0.1", small.port)) as raw:
            chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
            raw.sendall(b"POST /?user=w HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + chunk)
            assert b"413" in raw.recv(1000)


def test_more_requests_than_places_wait_their_turn_or_are_told_so(store: EmbeddedStore) -> None:
    settings = EndpointSettings(max_concurrency=1, max_wait_seconds=0.2)
    with serve(clickhouse_app(store, settings)) as narrow:
        long_query = {"user": "", "params": {"query": "SELECT sleep(1.5)"}}
        slow = threading.Thread(target=narrow.send, args=("GET",), kwargs=long_query)
        slow.start()
        tries = (narrow.send("GET", user="", params={"query": "SELECT 1"}) for _ in range(10_000) if slow.is_alive())
        refused = next(response for response in tries if response.status != 200)
        assert narrow.send("GET", user="").data == b"Ok.\n"
        slow.join()
        assert (refused.status, refused.headers["X-ClickHouse-Exception-Code"]) == (503, "202")
        assert narrow.send("GET", user="", params={"query": "SELECT 1"}).data == b"1\n"


def test_the_handshake_of_clickhouse_go_is_answered_in_its_own_revision(endpoint: Endpoint) -> None:
    """Byte for byte: one row in revision 54460 that says `revision()` = 0, so that the driver continues in 0."""
    sql = "SELECT displayName(), version(), revision(), timezone()"
    response = endpoint.post(sql, default_format="Native", client_protocol_version="54460", database="llm")
    version = endpoint.get("SELECT version()").data.strip()
    timezone = response.headers["X-ClickHouse-Timezone"].encode()

    def text(value: bytes) -> bytes:
        return bytes([len(value)]) + value

    assert response.data == b"".join(
        [
            b"\x01\x00\x02\xff\xff\xff\xff\x00",  # block info
            b"\x04\x01",  # four columns, one row
            text(b"displayName()") + text(b"String") + b"\x00" + text(b"llmhub"),
            text(b"version()") + text(b"String") + b"\x00" + text(version),
            text(b"revision()") + text(b"UInt32") + b"\x00" + b"\x00\x00\x00\x00",
            text(b"timezone()") + text(b"String") + b"\x00" + text(timezone),
        ]
    )
    assert response.headers["Content-Type"] == "application/octet-stream"


def test_clients_that_name_no_revision_get_the_plain_answer(endpoint: Endpoint) -> None:
    sql = "SELECT displayName(), version(), revision(), timezone()"
    assert len(endpoint.post(sql).data.split(b"\t")) == 4
    assert endpoint.post("SELECT 1 WHERE 0", default_format="Native", client_protocol_version="54460").data == b""


def test_a_collector_describes_the_table_and_inserts_row_binary_in_lz4_frames(
    endpoint: Endpoint, table: Callable[[str], str]
) -> None:
    """What rotel's ClickHouse exporter sends; the frame was made by another implementation of the format."""
    name = table("a UInt64, b String")
    described = endpoint.send("GET", user="writer", params={"query": f"DESCRIBE TABLE llm.{name}", "database": "llm"})
    assert described.data == b"a\tUInt64\t\t\t\t\t\nb\tString\t\t\t\t\t\n"
    insert = {"database": "llm", "query": f"INSERT INTO {name} (a, b) FORMAT RowBinary", "decompress": "1"}
    headers = {"X-ClickHouse-User": "writer", "X-ClickHouse-Key": "writer"}
    raw = (7).to_bytes(8, "little") + b"\x01x"
    frame = bytes.fromhex("a2b953ea0ed9294dad70b8ac86cb60c382140000000a000000a007000000000000000178")
    assert len(raw) == 10
    assert endpoint.send("POST", frame, user="", headers=headers, params={"async_insert": "1", **insert}).status == 200
    assert endpoint.get(f"SELECT * FROM {name}").data == b"7\tx\n"
    damaged = frame[:-1] + b"y"
    response = endpoint.send("POST", damaged, user="", headers=headers, params=insert)
    assert (response.status, response.headers["X-ClickHouse-Exception-Code"]) == (400, "40")
