"""The command line as a user has it, with and without a hub at work."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.collector.requests import call, logs, span, traces
from tests.hub.process import LISTENERS, Hub, environment, llmhub, until

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.0319600,3180,8
"""
MODEL_SQL = "SELECT model, sum(input_tokens) AS tokens FROM llm_calls GROUP BY model"


def json_line(service: str) -> str:
    attribute = {"key": "service.name", "value": {"stringValue": service}}
    start = str(time.time_ns())
    ids = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174"}
    one = {**ids, "name": "json", "startTimeUnixNano": start}
    return json.dumps({"resourceSpans": [{"resource": {"attributes": [attribute]}, "scopeSpans": [{"spans": [one]}]}]})


def store(directory: Path) -> str:
    return f"chdb://{directory / 'store'}"


def test_files_are_ingested_and_queried_with_nothing_else_running(directory: Path, service: str) -> None:
    (directory / "a.pb").write_bytes(traces(call(), service=service).SerializeToString())
    (directory / "b.pb.gz").write_bytes(gzip.compress(logs("hello").SerializeToString()))
    (directory / "c.jsonl").write_text(f"{json_line(service)}\n{json_line(service)}\n")
    ran = llmhub(directory, "--store", store(directory), "ingest", "a.pb", "b.pb.gz", "c.jsonl")
    assert (ran.code, ran.out) == (0, "4 of 4 requests stored, 0 records rejected\n")

    before = llmhub(directory, "--store", store(directory), "query", MODEL_SQL, "--format", "JSONEachRow")
    after = llmhub(directory, "query", MODEL_SQL, "--format", "JSONEachRow", f"--store={store(directory)}")
    assert before.rows() == after.rows() == [{"model": "gpt-4o-mini-2024-07-18", "tokens": 120}]
    sql = "SELECT (SELECT count() FROM otel_traces) AS spans, (SELECT count() FROM otel_logs) AS logs"
    (directory / "llmhub.yaml").write_text(f"storage: {{dsn: '{store(directory)}'}}")
    configured = llmhub(directory, "query", sql, "--config", "llmhub.yaml", "--format", "JSONEachRow")
    assert configured.rows() == [{"spans": 3, "logs": 1}]


def test_broken_files_are_named_to_the_line_and_the_good_ones_stored(directory: Path, service: str) -> None:
    good = traces(span(), service=service).SerializeToString()
    (directory / "good.pb").write_bytes(good)
    (directory / "cut.pb.gz").write_bytes(gzip.compress(good)[:-5])
    (directory / "cut.traces.pb").write_bytes(good[:-5])
    (directory / "lines.jsonl").write_text(f"{json_line(service)}\n{json_line(service)[:-9]}\n")
    names = ("cut.pb.gz", "cut.traces.pb", "lines.jsonl", "good.pb")
    ran = llmhub(directory, "ingest", *names, "--store", store(directory))
    assert ran.code == 1
    problems = {Path(line.split(":")[0]).name: line for line in ran.err.splitlines() if line}
    assert set(problems) == {"cut.pb.gz", "cut.traces.pb", "lines.jsonl, line 2"}
    assert "not a complete .gz file" in problems["cut.pb.gz"]
    assert "is not valid protobuf" in problems["cut.traces.pb"]
    assert ran.out.startswith("2 of 3 requests stored")
    sql = "SELECT count() AS n FROM otel_traces"
    ran = llmhub(directory, "query", sql, "--store", store(directory), "--format", "JSONEachRow")
    assert ran.rows() == [{"n": 2}]


def test_query_goes_through_the_hub_that_holds_the_store(hub: Hub) -> None:
    assert hub.query("SELECT currentUser() != '' AS answered").rows() == [{"answered": 1}]
    ran = hub.query("SELECT * FROM nowhere")
    assert ran.code == 1
    assert ran.err.startswith("llmhub: Code: 60. DB::Exception: Unknown table expression identifier 'nowhere'")
    assert ran.err.rstrip().endswith("(UNKNOWN_TABLE)")


def test_wrong_sql_gives_the_engines_own_text(directory: Path) -> None:
    ran = llmhub(directory, "query", "SELEC 1", "--store", store(directory))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("llmhub: Code: 62. DB::Exception: Syntax error")
    ran = llmhub(directory, "query", "DROP TABLE llm_calls", "--store", store(directory))
    assert (ran.code, "(READONLY)" in ran.err) == (1, True)


def test_the_schema_is_planned_then_applied_then_up_to_date(tmp_path: Path) -> None:
    plan = llmhub(tmp_path, "schema", "plan", "--sql", "--store", store(tmp_path))
    assert plan.code == 0
    assert "0005_llm_calls" in plan.out
    assert "CREATE TABLE IF NOT EXISTS llm_calls" in plan.out
    assert plan.out.rstrip().endswith("to apply")
    applied = llmhub(tmp_path, "schema", "apply", "--store", store(tmp_path))
    assert (applied.code, applied.out.splitlines()[-1]) == (0, "the schema is up to date")
    assert applied.out.count("applied 0") == applied.out.count("\n") - 1
    assert llmhub(tmp_path, "schema", "plan", "--store", store(tmp_path)).out == "nothing to apply\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("api: {lisen: '127.0.0.1:1'}", "api.lisen is not a setting; did you mean api.listen?"),
        ("shutdown_seconds: soon", "shutdown_seconds must be a number; it is a text"),
        ("api: {", "llmhub.yaml is not valid YAML"),
    ],
)
def test_config_check_names_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "llmhub.yaml").write_text(text)
    ran = llmhub(tmp_path, "config", "check", "--config", "llmhub.yaml")
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert "Traceback" not in ran.err


def test_config_check_reads_the_files_that_are_named(tmp_path: Path) -> None:
    (tmp_path / "hub.yaml").write_text(
        "receivers: {otlp_grpc: {tls_cert_file: a.pem, tls_key_file: a.pem}}\n"
        "storage: {content: {policy_file: policy.yaml}, registry: {path: services.csv}}\n"
        "collector: {spool: {key_file: hub.yaml}}\n"
    )
    ran = llmhub(tmp_path, "config", "check", "--config", "hub.yaml")
    assert ran.code == 2
    lines = ran.err.splitlines()
    named = ("receivers.otlp_grpc.tls_cert_file", "policy_file", "storage.registry.path", "collector.spool.key_file")
    assert [name in line for name, line in zip(named, lines, strict=True)] == [True] * 4


@pytest.mark.parametrize(
    "command",
    [
        ["query", "SELECT 1"],
        ["doctor"],
        ["dlq", "list"],
        ["prices", "list"],
        ["reprice", "--from", "2026-01-01", "--dry-run"],
    ],
    ids=" ".join,
)
def test_a_command_that_looks_makes_no_store(tmp_path: Path, command: list[str]) -> None:
    ran = llmhub(tmp_path, *command, "--store", f"chdb://{tmp_path}/typo")
    assert ran.code == 1
    assert f"there is no store in {tmp_path}/typo" in ran.err + ran.out
    assert not (tmp_path / "typo").exists()


def test_a_server_that_does_not_answer_is_named_with_the_setting(tmp_path: Path) -> None:
    ran = llmhub(tmp_path, "query", "SELECT 1", "--store", "clickhouse://me:secret@127.0.0.1:1/llm")
    assert ran.code == 1
    assert ran.err == (
        "llmhub: no ClickHouse server answers at 127.0.0.1:1: Connection refused. Start it, or set storage.dsn to where it is.\n"
    )


def test_an_argument_that_is_no_text_is_refused(tmp_path: Path) -> None:
    assert llmhub(tmp_path, "schema", "apply", "--store", store(tmp_path)).code == 0
    ran = llmhub(tmp_path, "query", "SELECT '\udcff'", "--store", store(tmp_path))
    assert (ran.code, ran.err) == (2, "llmhub: an argument is not valid UTF-8\n")


def test_an_interrupt_ends_a_long_query_at_once(tmp_path: Path) -> None:
    assert llmhub(tmp_path, "schema", "apply", "--store", store(tmp_path)).code == 0
    command = [sys.executable, "-m", "llmhub", "query", "SELECT count() FROM numbers(1e15)", "--store", store(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        time.sleep(6)
        since = time.monotonic()
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=60)
    assert (out, err) == ("", "")
    assert time.monotonic() - since < 5


@pytest.mark.parametrize("seconds", [0.4, 0.8])
def test_an_interrupt_while_a_command_starts_ends_it_in_silence(tmp_path: Path, seconds: float) -> None:
    command = [sys.executable, "-m", "llmhub", "query", "SELECT count() FROM numbers(1e15)", "--store", store(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        time.sleep(seconds)
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=60)
    assert "Traceback" not in out + err
    assert started.returncode


def test_the_version_is_told(tmp_path: Path) -> None:
    ran = llmhub(tmp_path, "--version")
    assert (ran.code, ran.out.split()[0]) == (0, "llmhub")


def test_config_check_accepts_a_good_file_named_by_the_environment(tmp_path: Path) -> None:
    (tmp_path / "llmhub.yaml").write_text("storage: {dsn: 'clickhouse://me:secret@host/llm'}")
    variables = {**environment({}, tmp_path), "LLMHUB_CONFIG": "llmhub.yaml"}
    command = [sys.executable, "-m", "llmhub", "config", "check"]
    ran = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "the configuration is valid; the store is clickhouse://me@host/llm\n"


def test_grafana_render_writes_the_provisioning_tree(tmp_path: Path) -> None:
    ran = llmhub(tmp_path, "grafana", "render", "out", "--host", "hub.example:9000", "--username", "grafana")
    assert ran.code == 0, ran.err
    file = tmp_path / "out" / "provisioning" / "datasources" / "llm-analytics.yaml"
    (source,) = yaml.safe_load(file.read_text())["datasources"]
    assert (source["jsonData"]["host"], source["jsonData"]["port"]) == ("hub.example", 9000)
    assert source["jsonData"]["username"] == "grafana"
    assert json.loads((tmp_path / "out/dashboards/llm-overview.json").read_text())["title"] == "LLM / Overview"


def test_grafana_is_sent_to_an_address_that_it_can_connect_to(tmp_path: Path) -> None:
    everywhere = {
        "storage.clickhouse_http.listen": "0.0.0.0:9000",
        "storage.clickhouse_http.users": "[{name: a, password: b}]",
    }
    assert llmhub(tmp_path, "grafana", "render", "out", settings=everywhere).code == 0
    assert "host: 127.0.0.1" in (tmp_path / "out/provisioning/datasources/llm-analytics.yaml").read_text()


def test_a_trace_file_is_replayed_into_a_running_hub(hub: Hub, tmp_path: Path, service: str) -> None:
    (tmp_path / f"{service}.csv").write_text(AZURE)
    target = {"receivers.otlp_grpc.listen": hub.addresses["OTLP gRPC"]}
    ran = llmhub(tmp_path, "replay", "--trace", f"{service}.csv", "--end", "2026-03-09T12:00:00", settings=target)
    assert ran.code == 0, ran.err
    assert ran.out.startswith(f"2 calls of {service}.csv stored as 2 spans")
    columns = "input_tokens, output_tokens, cost > 0 AS priced"
    assert hub.rows(f"SELECT {columns} FROM llm_calls WHERE service = '{service}' ORDER BY timestamp") == [
        {"input_tokens": 4808, "output_tokens": 10, "priced": 1},
        {"input_tokens": 3180, "output_tokens": 8, "priced": 1},
    ]


def test_a_replay_that_cannot_be_says_why(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text(AZURE)
    (tmp_path / "bad.csv").write_text(AZURE + "yesterday,1,2\n")
    nobody = {"receivers.otlp_grpc.listen": "127.0.0.1:9"}
    for name, message in (("bad.csv", "bad.csv, line 4: TIMESTAMP is 'yesterday'"), ("good.csv", "127.0.0.1:9")):
        ran = llmhub(tmp_path, "replay", "--trace", name, settings=nobody)
        assert ran.code == 1
        assert message in ran.err
        assert "Traceback" not in ran.err


def test_the_demo_fills_a_hub_and_prints_the_first_answers(tmp_path: Path) -> None:
    ran = llmhub(tmp_path, "demo", "--days", "0.02", "--seconds", "3")
    assert ran.code == 0, ran.err
    for line in (*LISTENERS.values(), "recorded exports of", "calls of the last 0.02 days"):
        assert line in ran.out
    table = ran.out[ran.out.index("What the store says, by model") :]
    assert "tokens in" in table
    assert table.count("gpt") + table.count("claude") >= 2
    assert "Traceback" not in ran.err


def test_the_demo_ends_in_order_when_it_is_interrupted_while_making_history(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as out:
        demo = subprocess.Popen(
            [sys.executable, "-m", "llmhub", "demo", "--days", "30"],
            cwd=tmp_path,
            env=environment({}, tmp_path),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        assert until(lambda: "recorded exports of" in (tmp_path / "out").read_text(), seconds=60)
        time.sleep(1)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(25) == 0
    finally:
        demo.kill()
    assert "Traceback" not in (tmp_path / "out").read_text()
