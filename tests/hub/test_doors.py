"""The doors beside OTLP: plain JSON events, the live tail, files into a hub that runs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from collector.signals import Signal
from tests.collector.requests import call, logs, span, traces
from tests.docs.documents import blocks, document
from tests.hub.conftest import StartHub
from tests.hub.process import Hub, environment, llmhub, until

SERVICE_RESTART = 1012  # RFC 6455 and its registry: come again
TAIL = {"api.tail.enabled": "true"}


def post_events(hub: Hub, events: Any) -> dict[str, Any]:
    answer = hub._http.request("POST", f"{hub.url('OTLP HTTP')}/v1/events", json=events)
    assert answer.status == 200, answer.data
    told: dict[str, Any] = answer.json()
    return told


def test_events_are_normalised_priced_and_counted_as_any_other_telemetry(hub: Hub, service: str) -> None:
    now = time.time() - 60
    stored = hub.metric("llmhub_collector_requests_total", signal="traces", outcome="stored")
    told = post_events(
        hub,
        [
            {"timestamp": now, "service": service, "environment": "prod", "provider": "openai", "model": "gpt-4o-mini",
             "input_tokens": 1200, "cached_input_tokens": 200, "output_tokens": 300, "duration_ms": 812.5,
             "time_to_first_token_ms": 150, "cost": 0.5, "user": "ann", "session": "s1", "feature": "search", "team": "web",
             "finish_reason": "stop", "response_id": "r1", "agent": "a1", "prompt_name": "p", "prompt_version": "2"},
            {"timestamp": now, "service": service, "model": "gpt-4o-mini", "error": "429"},
            {"timestamp": now, "service": service, "model": ""},
            {"timestamp": now, "service": service, "event": "llm_hub.feedback", "score": 0.5, "severity": "high",
             "user": "ann", "message": "not good"},
        ],
    )  # fmt: skip
    assert (told["accepted"], [event["index"] for event in told["rejected"]]) == (3, [2])
    good, failed = hub.rows(f"SELECT * FROM llm_calls WHERE service = '{service}' ORDER BY is_error")
    expected = {
        "environment": "prod", "provider": "openai", "model": "gpt-4o-mini", "operation": "chat", "input_tokens": 1200,
        "cached_input_tokens": 200, "output_tokens": 300, "duration": 0.8125, "time_to_first_token": 0.15, "reported_cost": 0.5,
        "user_id": "ann", "session_id": "s1", "feature": "search", "team": "web", "finish_reasons": ["stop"], "response_id": "r1",
        "agent": "a1", "prompt_name": "p", "prompt_version": "2", "dialect": "otel", "streaming": True,
    }  # fmt: skip
    assert {name: good[name] for name in expected} == expected
    assert good["cost"] > 0
    assert (failed["is_error"], failed["error_class"]) == (True, "rate_limit")
    (event,) = hub.rows(f"SELECT * FROM llm_events WHERE service = '{service}'")
    assert (event["category"], event["score"], event["severity"]) == ("feedback", 0.5, "high")
    assert (event["actor"], event["body"]) == ("ann", "not good")
    assert hub.metric("llmhub_collector_requests_total", signal="traces", outcome="stored") == stored + 1


def test_an_event_of_the_future_is_told_by_the_store(hub: Hub, service: str) -> None:
    told = post_events(
        hub, [{"timestamp": time.time() + days * 86400, "service": service, "model": "m"} for days in (0, 9)]
    )
    assert told["accepted"] == 1
    assert "in the future" in told["rejected"][0]["message"]
    assert hub.count("otel_traces", service) == 1


def test_the_documented_request_is_taken(hub: Hub) -> None:
    (block,) = [block for block in blocks(document("docs/sending.md"), "sh") if "/v1/events " in block]
    request, _, query = block.partition("llmhub query ")
    ran = subprocess.run(
        ["sh", "-euc", request.replace("http://127.0.0.1:4318", hub.url("OTLP HTTP"))], capture_output=True, text=True
    )
    assert (ran.returncode, json.loads(ran.stdout)) == (0, {"accepted": 2, "rejected": []}), ran.stderr
    (row,) = hub.rows(query.strip().strip('"'))
    assert (row["service"], row["calls"], row["input_tokens"]) == ("nightly-report", 1, 1200)


def test_the_tail_is_off_until_it_is_enabled(hub: Hub, directory: Path) -> None:
    ran = llmhub(directory, "tail", settings={"api.listen": hub.addresses["API"]})
    assert (ran.code, ran.out) == (1, "")
    assert "Set api.tail.enabled to true" in ran.err


@contextmanager
def tail(hub: Hub, directory: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`llmhub tail`, watching."""
    watching = subprocess.Popen(
        [sys.executable, "-m", "llmhub", "tail", *options],
        cwd=directory,
        env=environment({"api.listen": hub.addresses["API"]}, directory),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert until(lambda: hub.metric("llmhub_receivers_tail_viewers") == 1, seconds=30)
        yield watching
    finally:
        watching.kill()


def test_the_tail_prints_what_arrives(start_hub: StartHub, directory: Path, service: str) -> None:
    hub = start_hub(TAIL)
    with tail(hub, directory, "--service", service, "--count", "2", "--json") as watching:
        hub.post(Signal.TRACES, traces(span(), service="somebody else").SerializeToString())
        hub.post(Signal.TRACES, traces(span(), call(), service=service).SerializeToString())
        out, _ = watching.communicate(timeout=30)
    assert watching.returncode == 0
    shown = [json.loads(line) for line in out.splitlines()]
    assert [record["ServiceName"] for record in shown] == [service, service]
    assert hub.metric("llmhub_receivers_tail_sent_total") >= 2
    assert hub.metric("llmhub_receivers_tail_viewers") == 0


def test_a_terminal_is_not_steered_by_what_senders_write(start_hub: StartHub, directory: Path) -> None:
    hub = start_hub(TAIL)
    with tail(hub, directory, "--count", "1") as watching:
        hub.post(Signal.LOGS, logs("a\x1b[2Jb\r[red]c").SerializeToString())
        out, _ = watching.communicate(timeout=30)
    assert "a?[2Jb?[red]c" in out


def test_a_hub_stops_in_order_while_it_is_watched(start_hub: StartHub) -> None:
    hub = start_hub(TAIL)
    with connect(f"ws://{hub.addresses['API']}/v1/tail", proxy=None) as viewer:
        hub.terminate()
        assert hub.wait() == 0
        with pytest.raises(ConnectionClosed) as closed:
            viewer.recv(timeout=5)
        assert closed.value.rcvd
        assert closed.value.rcvd.code == SERVICE_RESTART
    assert "Traceback" not in hub.log


def test_files_go_through_the_hub_that_holds_the_store(start_hub: StartHub, directory: Path, service: str) -> None:
    hub = start_hub()
    settings = {"receivers.otlp_http.listen": hub.addresses["OTLP HTTP"]}
    (directory / "a.pb").write_bytes(traces(call(), service=service).SerializeToString())
    late = traces(span(start_time_unix_nano=1), span(), service=service).SerializeToString()
    (directory / "late.pb").write_bytes(late)
    (directory / "cut.traces.pb").write_bytes(late[:-3])
    event = {"timestamp": time.time() - 60, "service": service, "model": "gpt-4o"}
    (directory / "b.events.jsonl").write_text(f"{json.dumps(event)}\n")
    names = ("missing.pb", "a.pb", "late.pb", "cut.traces.pb", "b.events.jsonl")
    ran = llmhub(directory, "ingest", *names, "--store", hub.dsn, settings=settings)
    assert ran.code == 1
    assert ran.out == "3 of 4 requests stored, 1 records rejected\n"
    told = {Path(line.split(":")[0]).name: line for line in ran.err.splitlines() if line}
    assert set(told) == {"missing.pb", "late.pb", "cut.traces.pb"}
    assert "before 2010-01-01" in told["late.pb"]
    assert "is not valid protobuf" in told["cut.traces.pb"]
    assert hub.count("otel_traces", service) == 3
    assert hub.count("llm_calls", service) == 2


def test_a_hub_at_another_address_is_asked_for(start_hub: StartHub, directory: Path) -> None:
    hub = start_hub()
    (directory / "a.pb").write_bytes(traces(span()).SerializeToString())
    ran = llmhub(
        directory, "ingest", "a.pb", "--store", hub.dsn, settings={"receivers.otlp_http.listen": "127.0.0.1:9"}
    )
    assert ran.code == 1
    assert "receivers.otlp_http.listen" in ran.err
    assert "0 of 1 requests stored" in ran.out


@pytest.mark.parametrize("running", [False, True])
def test_standard_input_is_ingested_when_it_is_said_what_it_is(
    start_hub: StartHub, directory: Path, running: bool
) -> None:
    settings = {"receivers.otlp_http.listen": start_hub().addresses["OTLP HTTP"]} if running else {}
    event = json.dumps({"timestamp": time.time() - 60, "service": "piped", "model": "gpt-4o"})
    command = [sys.executable, "-m", "llmhub", "--store", f"chdb://{directory / 'store'}", "ingest", "-"]
    for options, code, text in ((["--format", "events.jsonl"], 0, "1 of 1 requests stored"), ([], 1, "Add --format")):
        ran = subprocess.run(
            [*command, *options], input=event, cwd=directory, env=environment(settings, directory),
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert ran.returncode == code
        assert text in ran.stdout + ran.stderr
