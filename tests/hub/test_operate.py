"""What an operator does with a running hub and with one that does not run: status, dead letters, spool."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest
import urllib3

from collector.signals import Signal
from tests.collector.requests import SECOND, gauge, logs, span, traces
from tests.hub.conftest import StartHub
from tests.hub.process import Hub, until


def rejected(service: str) -> bytes:
    """A request with one good and one bad span."""
    return traces(span(name="good"), span(name="bad", trace_id=b"short"), service=service).SerializeToString()


def json_of(hub: Hub, *arguments: str, code: int = 0) -> Any:
    ran = hub.command(*arguments, "--json")
    assert ran.code == code, ran.err
    return json.loads(ran.out)


def letter_of(hub: Hub, signal: Signal) -> int:
    (letter,) = [row for row in json_of(hub, "dlq", "list") if row["signal"] == signal and not row["replayed"]]
    return int(letter["request_id"])


def test_a_dead_letter_whose_time_has_come_is_replayed_once_also_over_a_kill(start_hub: StartHub, service: str) -> None:
    """A span a day and three seconds in the future is refused; three seconds later it is fine."""
    hub = start_hub()
    soon = time.time_ns() + 24 * 3600 * SECOND + 3 * SECOND
    early = span(name="early", start_time_unix_nano=soon, end_time_unix_nano=soon)
    assert hub.post(Signal.TRACES, traces(early, span(name="good"), service=service).SerializeToString()).status == 200
    request_id = letter_of(hub, Signal.TRACES)
    time.sleep(max(soon / SECOND - 24 * 3600 - time.time() + 0.5, 0))
    ran = hub.command("dlq", "replay", "--all")
    assert (ran.code, ran.out.splitlines()) == (0, [f"{request_id} replayed", "1 of 1 dead letters are stored"])
    hub.process.kill()
    hub.process.wait()

    again = json_of(hub, "dlq", "replay", str(request_id))
    assert [each["outcome"] for each in again] == ["already stored"]
    names = f"SELECT SpanName FROM otel_traces WHERE ServiceName = '{service}' ORDER BY 1"
    assert hub.query(names).rows() == [{"SpanName": "early"}, {"SpanName": "good"}]
    assert hub.command("dlq", "replay", "--all").out == "0 of 0 dead letters are stored\n"


def test_dead_letters_are_listed_shown_replayed_and_purged_through_the_running_hub(
    start_hub: StartHub, service: str
) -> None:
    hub = start_hub()
    assert hub.post(Signal.TRACES, rejected(service)).status == 200
    poison = cut_log()
    assert hub.post(Signal.LOGS, poison).status == 400

    assert "trace_id" in hub.command("dlq", "list").out
    partial, whole = letter_of(hub, Signal.TRACES), letter_of(hub, Signal.LOGS)

    shown = json_of(hub, "dlq", "show", str(partial))
    (resource,) = shown["request"]["resourceSpans"]
    (only,) = resource["scopeSpans"][0]["spans"]
    assert (only["name"], only["traceId"], shown["tenant"]) == ("bad", b"short".hex(), "default")
    broken = hub.command("dlq", "show", str(whole), "--raw", "raw.pb")
    assert (broken.code, "broken" in broken.out, "log_records" in broken.out) == (0, True, True)
    assert (hub.directory / "raw.pb").read_bytes() == poison

    replayed = json_of(hub, "dlq", "replay", str(partial), str(whole), "7", code=1)
    assert [each["outcome"] for each in replayed] == ["rejected again", "rejected again", "unknown"]
    assert {row["request_id"] for row in json_of(hub, "dlq", "list")} == {str(partial), str(whole)}
    assert hub.command("dlq", "replay").code == 2

    assert json_of(hub, "dlq", "purge", str(whole)) == {"purged": 1}
    assert json_of(hub, "dlq", "purge", "--older-than", "1") == {"purged": 0}
    status = json_of(hub, "status")
    assert status["balanced"]
    assert status["store"]["dead_letters"] == {"waiting": 1, "replayed": 0}
    assert status["store"]["request_ids"]["missing"] == 0

    hub.close()
    assert [row["request_id"] for row in json_of(hub, "dlq", "list")] == [str(partial)]
    assert "1 dead letters removed" in hub.command("dlq", "purge", str(partial)).out


def cut_log() -> bytes:
    """A logs request that is framed well, down to its second record, which has lost its end."""
    from collector.protobuf import len_prefix

    whole = logs("poison").resource_logs[0].scope_logs[0].log_records[0].SerializeToString()
    scope = b"".join(len_prefix(2, len(part)) + part for part in (whole, whole[:-3]))
    resource = len_prefix(2, len(scope)) + scope
    return len_prefix(1, len(resource)) + resource


def test_status_shows_the_ledger_and_that_it_balances(start_hub: StartHub, service: str) -> None:
    hub = start_hub()
    body = rejected(service)
    for each in (body, body, traces(span(start_time_unix_nano=2 * SECOND), service=service).SerializeToString()):
        assert hub.post(Signal.TRACES, each).status == 200
    assert hub.post(Signal.METRICS, gauge(service, 1.0).SerializeToString()).status == 200

    assert hub.post(Signal.TRACES, body[:-1]).status == 400
    for path, content in (("/v1/traces", "text/plain"), ("/v1/events", "application/json")):
        answer = urllib3.request("POST", hub.url("OTLP HTTP") + path, body=b"{", headers={"Content-Type": content})
        assert answer.status in (400, 415)

    report = json.loads(hub.api("/status").data)
    assert report["balanced"] is True
    assert [tuple(row.values()) for row in report["refusals"]] == [
        ("", "events", "bad_json", 1), ("", "traces", "unsupported_media_type", 1), ("default", "traces", "invalid", 1)
    ]  # fmt: skip
    (traced,) = [row for row in report["ledger"] if row["signal"] == "traces"]
    assert {name: traced[name] for name in ("received", "stored", "duplicate", "acknowledged", "under_way")} == {
        "received": 4, "stored": 2, "duplicate": 1, "acknowledged": 3, "under_way": 0,
    }  # fmt: skip
    assert report["store"]["request_ids"]["stored"] == 3
    assert report["breaker"] == {"state": "closed", "last_error": ""}

    ran = hub.command("status")
    assert "1 events before it was known whose they are: bad_json" in ran.out
    assert "none has been sent yet" in ran.out, "of the canary"
    assert (ran.code, "The ledger balances." in ran.out, "dead letters wait" in ran.out) == (0, True, True)


def test_status_finds_what_the_store_has_lost_and_doubled(start_hub: StartHub, service: str) -> None:
    hub = start_hub()
    for number in range(4):
        assert (
            hub.post(Signal.TRACES, traces(span(name=f"s{number}"), service=service).SerializeToString()).status == 200
        )
    writer = "writer:secret"
    lost, doubled = "(SELECT min(request_id) + 1 FROM ingest_requests)", "(SELECT max(request_id) FROM ingest_requests)"
    for sql in (
        f"DELETE FROM ingest_requests WHERE request_id = {lost}",
        f"INSERT INTO ingest_requests SELECT * REPLACE (now64(3) AS received_at) FROM ingest_requests WHERE request_id = {doubled}",
    ):
        answer = hub.clickhouse(sql, user=writer)
        assert answer.status == 200, answer.data
    ran = hub.command("status")
    assert ran.code == 1
    assert "1 requests of the last day are nowhere: ids" in ran.out
    assert "1 requests of the last day are stored twice" in ran.out


def test_status_without_a_hub_says_how_to_start_one(tmp_path: Path) -> None:
    from tests.hub.process import llmhub

    ran = llmhub(tmp_path, "status", "--store", f"chdb://{tmp_path / 'store'}")
    assert ran.code == 1
    assert "no hub runs on the spool in" in ran.err
    assert "llmhub up" in ran.err


def test_the_control_socket_is_for_the_hubs_user_alone_and_works_below_a_long_path(
    start_hub: StartHub, directory: Path
) -> None:
    deep = directory / ("d" * 60) / ("e" * 60) / "spool"
    hub = start_hub({"collector.spool.path": str(deep)})
    control = deep / "control.sock"
    assert stat.S_ISSOCK(control.stat().st_mode)
    assert stat.S_IMODE(control.stat().st_mode) == 0o600
    assert len(os.fsencode(control)) > 108
    assert json_of(hub, "dlq", "list") == []
    hub.close()
    assert not control.exists()


def test_a_damaged_spool_stops_the_start_and_is_repaired(start_hub: StartHub, directory: Path, service: str) -> None:
    hub = start_hub()
    hub.close()
    batches = spooled(directory / "store" / "spool", directory / "store" / "spool.key", service)
    with pytest.raises(AssertionError, match=r"llmhub spool repair"):
        start_hub()
    before = hub.command("spool", "status")
    assert (before.code, "llmhub spool repair" in before.err) == (1, True)
    ran = hub.command("spool", "repair")
    assert ran.code == 0, ran.err
    assert "gone: records 2, 1 requests" in ran.out
    assert hub.command("spool", "status").code == 0

    hub = start_hub()
    stored = f"SELECT SpanName FROM otel_traces WHERE ServiceName = '{service}' ORDER BY 1"
    until(lambda: len(hub.rows(stored)) == batches - 1, 20)
    assert [row["SpanName"] for row in hub.rows(stored)] == ["s1", "s3"]
    assert "is in use by another process" in hub.command("spool", "repair").err


def spooled(spool: Path, key: Path, service: str) -> int:
    """Three batches in the spool, of which the second has lost a bit."""
    from collector.spool import Spool, SpoolSettings, open_key
    from collector.spool.segment import scan
    from collector.spool.spool import Accepted

    writing = Spool(spool, open_key(key), SpoolSettings())
    for number in (1, 2, 3):
        body = traces(span(name=f"s{number}"), service=service).SerializeToString()
        writing.append(
            Signal.TRACES, [Accepted(Signal.TRACES, "default", body, span().start_time_unix_nano, bytes([number] * 16))]
        )
    writing.close()
    (path,) = [path for path in spool.glob("*.spool") if len(scan(path).records) == 3]
    second = scan(path).records[1]
    data = bytearray(path.read_bytes())
    data[second.start + 20] ^= 0x10
    path.write_bytes(data)
    return 3


def test_the_canary_is_seen_and_is_no_model_call(start_hub: StartHub) -> None:
    hub = start_hub({"collector.canary_seconds": "0.2"})
    assert until(lambda: hub.metric("llmhub_canary_lag_seconds") > 0, 20)
    seen = "SELECT count() AS n FROM otel_traces WHERE Tenant = 'llmhub' AND ServiceName = 'llmhub.canary'"
    assert until(lambda: hub.rows(seen)[0]["n"] >= 2, 20)
    assert hub.rows("SELECT count() AS n FROM llm_calls") == [{"n": 0}]
    assert hub.metric("llmhub_canary_failures_total") == 0
    assert json_of(hub, "status")["balanced"]
