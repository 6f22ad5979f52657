"""What arrives is bounded, whatever senders do; those who behave go on."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from collector.pipeline import Signal
from receivers.intake import Refused
from receivers.intake_budget import IntakeBudget, RequestSlots
from receivers.otlp_grpc import SERVICES, OtlpGrpcReceiver, OtlpGrpcSettings
from receivers.otlp_http import OtlpHttpReceiver, OtlpHttpSettings
from tests.clients.grpc_sender import connect
from tests.receivers import exports
from tests.receivers.recorder import Loop, Recorder, serving

TRACES = f"/{SERVICES[Signal.TRACES]}/Export"
PROTOBUF = {"Content-Type": "application/x-protobuf"}
BUDGET = 200_000


@pytest.fixture
def budget() -> IntakeBudget:
    return IntakeBudget(BUDGET)


@pytest.fixture
def grpc_address(recorder: Recorder, loop: Loop, budget: IntakeBudget) -> Iterator[str]:
    settings = OtlpGrpcSettings(listen="127.0.0.1:0", max_concurrent_requests=3, message_timeout_seconds=0.5)
    with serving(OtlpGrpcReceiver(recorder, settings, budget=budget), loop) as address:
        yield address


@pytest.fixture
def http_url(recorder: Recorder, loop: Loop, budget: IntakeBudget) -> Iterator[str]:
    settings = OtlpHttpSettings(listen="127.0.0.1:0", max_concurrent_requests=3)
    with serving(OtlpHttpReceiver(recorder, settings, budget=budget), loop) as address:
        yield f"http://{address}"


def export(channel: grpc.Channel) -> Any:
    """The method as bytes in, bytes out."""
    return channel.unary_unary(TRACES)


def refused(address: str, body: bytes) -> Any:
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as caught:
        export(channel)(body, timeout=10)
    return caught.value


def accepted(address: str, body: bytes) -> bool:
    with grpc.insecure_channel(address) as channel:
        return bool(export(channel)(body, timeout=10) == b"")


def retry_seconds(error: Any) -> float:
    info = RetryInfo()
    status = Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    assert status.details[0].Unpack(info)
    return float(info.retry_delay.ToMilliseconds() / 1000)


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_lease_gives_back_what_it_took_however_it_ends() -> None:
    budget = IntakeBudget(10)
    with budget.lease() as lease:
        lease.grow(8)
        with pytest.raises(Refused, match=r"receivers\.max_intake_bytes"):
            lease.grow(3)
    assert budget.used == 0


def test_a_slot_that_was_refused_is_not_given_back() -> None:
    slots = RequestSlots(1, "s")
    with slots, pytest.raises(Refused, match="s allows"), slots:
        pass
    assert slots.used == 0


def test_grpc_bytes_over_the_budget_are_refused_with_a_time_to_retry(
    grpc_address: str, recorder: Recorder, budget: IntakeBudget
) -> None:
    error = refused(grpc_address, bytes(BUDGET + 1))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "receivers.max_intake_bytes" in error.details()
    assert retry_seconds(error) == 1.0
    assert recorder.refusals == [(Signal.TRACES, "no_room")]
    assert accepted(grpc_address, exports.traces())
    assert budget.used == 0


def test_http_bytes_over_the_budget_are_refused_with_a_time_to_retry(
    http_url: str, recorder: Recorder, budget: IntakeBudget
) -> None:
    response = requests.post(f"{http_url}/v1/traces", data=bytes(BUDGET + 1), headers=PROTOBUF, timeout=10)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "1")
    assert b"receivers.max_intake_bytes" in response.content
    assert recorder.refusals == [(Signal.TRACES, "no_room")]
    assert requests.post(f"{http_url}/v1/traces", data=exports.traces(), headers=PROTOBUF, timeout=10).ok
    assert budget.used == 0


def test_grpc_requests_over_the_limit_are_refused_until_others_are_answered(
    grpc_address: str, recorder: Recorder
) -> None:
    recorder.delay = 1.0
    with grpc.insecure_channel(grpc_address) as channel:
        waiting = [export(channel).future(exports.traces(), timeout=10) for _ in range(3)]
        wait_until(lambda: len(recorder.submitted) == 3)
        error = refused(grpc_address, exports.traces())
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "receivers.otlp_grpc.max_concurrent_requests" in error.details()
        assert [call.result() for call in waiting] == [b""] * 3
    assert accepted(grpc_address, exports.traces())


def test_callers_that_give_up_free_their_places(grpc_address: str, recorder: Recorder, budget: IntakeBudget) -> None:
    recorder.delay = 30.0
    with grpc.insecure_channel(grpc_address) as channel:
        waiting = [export(channel).future(exports.traces(), timeout=10) for _ in range(3)]
        wait_until(lambda: len(recorder.submitted) == 3)
        for call in waiting:
            call.cancel()
    recorder.delay = 0.0
    wait_until(lambda: _answered(grpc_address))
    assert budget.used == 0


def _answered(address: str) -> bool:
    try:
        return accepted(address, exports.traces())
    except grpc.RpcError:
        return False


def test_a_message_that_does_not_arrive_in_time_is_refused_and_forgotten(
    grpc_address: str, budget: IntakeBudget
) -> None:
    answer = asyncio.run(_half_a_message(grpc_address))
    assert answer.startswith(f"status {grpc.StatusCode.DEADLINE_EXCEEDED.value[0]}: ")
    assert "receivers.otlp_grpc.message_timeout_seconds" in answer
    assert budget.used == 0
    assert accepted(grpc_address, exports.traces())


async def _half_a_message(address: str) -> str:
    sender = await connect(address, TRACES, stop_after=1000)
    answer = await asyncio.wait_for(sender.send(bytes(5000)), 10)
    sender.close()
    return answer


@pytest.mark.parametrize("door", ["grpc_address", "http_url"])
def test_a_connection_whose_peer_is_gone_is_probed_and_dropped(
    door: str, request: pytest.FixtureRequest, loop: Loop
) -> None:
    host, port = request.getfixturevalue(door).removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as peer:
        ours = f"0100007F:{int(port):04X} 0100007F:{peer.getsockname()[1]:04X} 01"
        # The timer 02 is keepalive.
        (row,) = [line for line in Path("/proc/net/tcp").read_text().splitlines() if ours in line]
        assert row.split()[5].startswith("02:")


FLOODED = """
import asyncio, sys
from receivers.otlp_grpc import OtlpGrpcReceiver, OtlpGrpcSettings
from receivers.intake_budget import IntakeBudget
from tests.receivers.recorder import Recorder

async def main():
    settings = OtlpGrpcSettings(listen="127.0.0.1:0", message_timeout_seconds=3)
    receiver = OtlpGrpcReceiver(Recorder(), settings, budget=IntakeBudget(64 << 20))
    print(await receiver.start(), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_memory_stays_bounded_in_a_flood_of_large_messages() -> None:
    with ExitStack() as stack:
        hub = stack.enter_context(subprocess.Popen([sys.executable, "-c", FLOODED], stdout=subprocess.PIPE, text=True))
        stack.callback(hub.kill)
        assert hub.stdout
        address = hub.stdout.readline().strip()
        assert accepted(address, exports.traces())
        before = _peak_megabytes(hub.pid)
        answers = asyncio.run(_flood(address))
        assert any("receivers.max_intake_bytes" in answer for answer in answers)
        # 40 times 15 MB are on their way; the budget is 64 MB.
        assert _peak_megabytes(hub.pid) - before < 250
        assert accepted(address, exports.traces())


async def _flood(address: str) -> list[str]:
    """Each message but its last bytes, from 40 senders at once, so that all of them are in arrival."""
    senders = [await connect(address, TRACES, stop_after=14_900_000) for _ in range(40)]
    message = bytes(15_000_000)
    answers = [sender.send(message) for sender in senders]
    done, _ = await asyncio.wait(answers, timeout=20)
    for sender in senders:
        sender.close()
    return [answer.result() for answer in done]


def _peak_megabytes(pid: int) -> int:
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024
