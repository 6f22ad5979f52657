"""One file, overrides from the environment, and an error for every key that is not right."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmhub.config import Config, ConfigError, every_setting, load
from receivers.kafka import KafkaProducerSettings, KafkaSettings
from receivers.kafka.settings import consumer_properties, producer_properties
from storage.endpoint import EndpointUser

USERS = "LLMHUB_STORAGE__CLICKHOUSE_HTTP__USERS"
LISTEN = "LLMHUB_STORAGE__CLICKHOUSE_HTTP__LISTEN"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "llmhub.yaml"
    path.write_text(text)
    return path


def test_without_file_and_environment_everything_has_its_default() -> None:
    config = load(None, {})
    assert config == Config()
    assert config.receivers.otlp_grpc.listen == "127.0.0.1:4317"
    assert config.storage.dsn.startswith("chdb:///")


def test_the_file_sets_and_the_environment_overrides(tmp_path: Path) -> None:
    path = written(tmp_path, "api: {listen: '127.0.0.1:1'}\ncollector: {flush_seconds: 1, concurrent_inserts: 3}\n")
    config = load(path, {"LLMHUB_COLLECTOR__FLUSH_SECONDS": "0.5", "LLMHUB_SHUTDOWN_SECONDS": "7", "OTHER": "x"})
    assert (config.api.listen, config.shutdown_seconds) == ("127.0.0.1:1", 7.0)
    assert (config.collector.flush_seconds, config.collector.concurrent_inserts) == (0.5, 3)


def test_the_environment_reaches_into_lists(tmp_path: Path) -> None:
    users = "[{name: grafana, password: secret}, {name: writer, readonly: false}]"
    config = load(None, {USERS: users})
    assert config.storage.clickhouse_http.users == (
        EndpointUser("grafana", "secret"),
        EndpointUser("writer", readonly=False),
    )


def test_the_variable_that_names_the_file_is_no_setting(tmp_path: Path) -> None:
    path = written(tmp_path, "api: {listen: '127.0.0.1:1'}")
    assert load(path, {"LLMHUB_CONFIG": str(path)}).api.listen == "127.0.0.1:1"


def test_several_workers_need_a_server() -> None:
    two = {"LLMHUB_RECEIVERS__WORKERS": "2"}
    with pytest.raises(
        ConfigError, match=r"receivers\.workers is 2 and storage\.dsn is chdb:///.* to a ClickHouse server"
    ):
        load(None, two)
    assert load(None, two, dsn="clickhouse://default@127.0.0.1/llm").receivers.workers == 2


def test_an_empty_file_is_a_configuration(tmp_path: Path) -> None:
    assert load(written(tmp_path, "# nothing yet\n"), {}) == Config()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("storge: {}", "storge is not a setting; did you mean storage?"),
        ("receivers: {otlp_grpc: {lisen: x}}", "receivers.otlp_grpc.lisen is not a setting; did you mean receivers.otlp_g"),
        ("api: {colour: red}", "api.colour is not a setting; known here: listen"),
        ("receivers: 5", "receivers is a section and needs keys of its own, not 5"),
        ("5: 6", "5 is not a setting"),
        ("[1, 2]", "must be a mapping of sections such as 'storage:', not a list"),
        ("collector: {flush_seconds: soon}", "collector.flush_seconds must be a number; it is a text"),
        ("collector: {concurrent_inserts: 1.5}", "collector.concurrent_inserts must be a whole number; it is a number"),
        ("collector: {concurrent_inserts: 0}", "collector.concurrent_inserts must be at least 1, not 0"),
        ("storage: {limits: {readers: -1}}", "storage.limits.readers must be at least 1, not -1"),
        ("collector: {flush_seconds: -0.1}", "collector.flush_seconds must be a number from 0 on, not -0.1"),
        ("shutdown_seconds: .inf", "shutdown_seconds must be a number from 0 on, not inf"),
        ("telemetry: {log_level: loud}", "telemetry.log_level must be 'debug', 'info', 'warning' or 'error'"),
        ("api: {listen: [1]}", "api.listen must be a text; it is a list"),
        ("api: {listen: '8080'}", "api.listen: '8080' is not 'host:port'"),
        ("receivers: {otlp_grpc: {listen: 'a:99999'}}", "receivers.otlp_grpc.listen: 'a:99999' is not 'host:port'"),
        ("storage: {dsn: postgres://x}", "storage.dsn: the store must start with chdb://"),
        ("storage: {dsn: 'chdb://relative'}", "storage.dsn: 'chdb://relative' needs an absolute directory"),
        ("storage: {clickhouse_http: {users: [{name: a, passwrod: b}]}}",
         "storage.clickhouse_http.users.0.passwrod is not a setting; did you mean storage.clickhouse_http.users.0.pass"),
        ("storage: {clickhouse_http: {users: [a]}}", "storage.clickhouse_http.users.0"),
        ("storage: {clickhouse_http: {users: [{password: b}]}}", "storage.clickhouse_http.users.0.name"),
        ("storage: {clickhouse_http: {users: [{name: a, password_sha256: abc}]}}", "password_sha256 must be 64"),
        ("api: {listen: 'x'", "is not valid YAML"),
        ("\x00", "is not valid YAML"),
        ("api: {listen: 'x:1'}\nsweep: {}\napi: {}", "api stands here twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(written(tmp_path, text), {})
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("LLMHUB_API__LISTN", "x", "LLMHUB_API__LISTN: api.listn is not a setting; did you mean api.listen?"),
        ("LLMHUB_API", "x", "LLMHUB_API: api is a section and needs keys of its own, not 'x'"),
        ("LLMHUB_COLLECTOR__FLUSH_SECONDS", "", "collector.flush_seconds must be a number; it is a text"),
        (USERS, "[{name: a]", f"{USERS} is not valid YAML"),
        (USERS, "[{name: a}", "storage.clickhouse_http.users must be a list; it is a text"),
        ("LLMHUB_SHUTDOWN_SECONDS__X", "1", "shutdown_seconds"),
    ],
)
def test_what_is_wrong_in_the_environment_is_named(variable: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(None, {variable: value})
    assert message in str(raised.value)


def test_a_secret_is_not_repeated_in_an_error(tmp_path: Path) -> None:
    for users in ("[{name: a, password: [hush]}]", "[{name: a, password: hush, password_sha256: hush}]", "hush"):
        with pytest.raises(ConfigError) as raised:
            load(written(tmp_path, f"storage: {{clickhouse_http: {{users: {users}}}}}"), {})
        assert "hush" not in str(raised.value)


def test_every_key_at_fault_has_a_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load(written(tmp_path, "api: {listen: [1]}\nshutdown_seconds: never\n"), {})
    assert len(str(raised.value).splitlines()) == 2


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin1.yaml").write_bytes(b"api: \xff")
    for name, problem in (("none.yaml", "No such file"), (".", "directory"), ("latin1.yaml", "UTF-8")):
        with pytest.raises(ConfigError) as raised:
            load(tmp_path / name, {})
        assert str(tmp_path / name) in str(raised.value)
        assert problem in str(raised.value)


@pytest.mark.parametrize("listen", ["0.0.0.0:8123", "192.0.2.1:8123", "hub.example:8123", "[::]:8123"])
def test_without_users_the_clickhouse_port_stays_on_loopback(listen: str) -> None:
    environment = {LISTEN: listen}
    with pytest.raises(
        ConfigError, match=r"set storage\.clickhouse_http\.users, each with a password, or listen on 127\.0\.0\.1"
    ):
        load(None, environment)
    users = {USERS: "[{name: a, password: b}]"}
    assert load(None, {**environment, **users}).storage.clickhouse_http.listen == listen
    server = {"LLMHUB_STORAGE__DSN": "clickhouse://host/llm"}
    assert load(None, {**environment, **server}).storage.clickhouse_http.listen == listen


def test_a_store_given_on_the_command_line_is_checked_like_a_configured_one() -> None:
    environment = {"LLMHUB_STORAGE__DSN": "clickhouse://host/llm", LISTEN: "0.0.0.0:8123"}
    with pytest.raises(ConfigError, match=r"storage\.clickhouse_http\.users"):
        load(None, environment, dsn="chdb:///tmp/x")
    assert load(None, {}, dsn="chdb:///tmp/x").storage.dsn == "chdb:///tmp/x"


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "127.8.8.8:1", "localhost:1", "[::1]:1"])
def test_loopback_needs_no_users(listen: str) -> None:
    assert load(None, {LISTEN: listen}).storage.clickhouse_http.listen == listen


def test_keys_lists_every_setting_once_with_its_default() -> None:
    listed = dict(every_setting())
    assert len(listed) == len(list(every_setting()))
    assert listed["receivers.otlp_grpc.max_message_bytes"] == 20 * 1024 * 1024
    assert listed["storage.clickhouse_http.users"] == ()
    assert listed["shutdown_seconds"] == 20.0
    assert {key for key, default in listed.items() if isinstance(default, dict)} == {
        "storage.dimensions",
        "receivers.kafka.client",
        "receivers.kafka.producer.client",
    }


def test_service_links_of_kubernetes_are_no_settings() -> None:
    links = {
        "LLMHUB_PORT": "tcp://10.0.0.1:4317",
        "LLMHUB_SERVICE_HOST": "10.0.0.1",
        "LLMHUB_PORT_4317_TCP_ADDR": "10.0.0.1",
    }
    assert load(None, links) == load(None, {})


def test_an_exposed_clickhouse_interface_needs_a_password_for_each_user() -> None:
    exposed = {"LLMHUB_STORAGE__DSN": "chdb:///tmp/x", "LLMHUB_STORAGE__CLICKHOUSE_HTTP__LISTEN": "0.0.0.0:8123"}
    with pytest.raises(ConfigError, match="each with a password"):
        load(None, {**exposed, "LLMHUB_STORAGE__CLICKHOUSE_HTTP__USERS": "[{name: grafana}]"})


def test_room_for_less_than_one_request_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"collector\.max_pending_bytes is 1000, less than the largest request"):
        load(None, {"LLMHUB_COLLECTOR__MAX_PENDING_BYTES": "1000"})


def test_properties_of_kafkas_client_come_from_the_file_and_the_environment(tmp_path: Path) -> None:
    path = written(tmp_path, "receivers: {kafka: {brokers: 'b:9092', client: {sasl.username: hub}}}")
    kafka = load(path, {"LLMHUB_RECEIVERS__KAFKA__CLIENT__SASL_PASSWORD": "hunter2"}).receivers.kafka
    properties = consumer_properties(kafka)
    assert (properties["sasl.username"], properties["sasl.password"]) == ("hub", "hunter2")
    assert "hunter2" not in repr(kafka)


def test_what_the_guarantees_rest_on_cannot_be_set_as_a_property_of_kafkas_client() -> None:
    client = {"enable.auto.offset.store": True, "enable.idempotence": False, "acks": 1}
    assert consumer_properties(KafkaSettings(client=client))["enable.auto.offset.store"] is False
    assert producer_properties(KafkaProducerSettings(client=client))["acks"] == "all"


def test_a_secret_of_the_wrong_kind_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as raised:
        load(None, {"LLMHUB_RECEIVERS__KAFKA__CLIENT": "{sasl.password: [hunter2]}"})
    assert "receivers.kafka.client" in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        (
            "aliases: [{slot: request_mode, key: acme.model}]",
            "storage.aliases.0.slot: 'request_mode' is no slot; known are .*request_model",
        ),
        ("aliases: [{slot: team, key: a}, {slot: user_id, key: a}]", "storage.aliases: the key a stands there 2 times"),
        ("aliases: [{slott: team, key: a}]", r"did you mean storage\.aliases\.0\.slot"),
        ("operations: [{value: ask, role: question}]", "storage.operations.0.role: 'question' is no role"),
        (
            "dimensions: {model: [gen_ai.request.model]}",
            "storage.dimensions.model: .* fills the slot request_model already",
        ),
        ("dimensions: {a: [x], b: [x]}", "storage.dimensions.b: x stands in storage.dimensions.a already"),
        ("dimensions: {a: []}", "storage.dimensions.a: needs 1 to"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_with_the_line_at_fault(tmp_path: Path, storage: str, message: str) -> None:
    (tmp_path / "hub.yaml").write_text(f"storage: {{{storage}}}", encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load(tmp_path / "hub.yaml", {})


def test_a_section_without_keys_is_no_section(tmp_path: Path) -> None:
    assert load(written(tmp_path, "api:\n  # listen: 127.0.0.1:9090\nsweep:\n"), {}) == load(None, {})
