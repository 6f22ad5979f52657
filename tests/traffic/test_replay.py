"""Trace files as OTLP, and what is said about files that are not right."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from llmhub.traffic import TraceFileError, replay, trace_duration
from llmhub.traffic.prefixes import PrefixCache
from tests.traffic.helpers import Read, read

END = datetime(2026, 3, 9, 12, tzinfo=UTC)
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"


@pytest.fixture
def azure(tmp_path: Path) -> Path:
    path = tmp_path / "code.csv"
    path.write_text(
        AZURE
        + "2023-11-16 18:17:03.9799600,4808,10\r\n"
        + "2023-11-16 18:17:04.0319600,3180,8\r\n"
        + "2023-11-16 18:18:04.0319600,110,27",
        newline="",
    )
    return path


@pytest.fixture
def mooncake(tmp_path: Path) -> Path:
    path = tmp_path / "chats.jsonl"
    path.write_text(
        '{"timestamp": 0, "input_length": 2100, "output_length": 5, "hash_ids": [0, 1, 2, 3, 4]}\n'
        '{"timestamp": 9, "input_length": 2500, "output_length": 7, "hash_ids": [0, 1, 2, 9, 4]}\n\n'
        '{"timestamp": 27000, "input_length": 900, "output_length": 1, "hash_ids": [0, 1]}\n'
    )
    return path


def in_order(spans: list[Read]) -> list[Read]:
    return sorted(spans, key=lambda one: one.span.start_time_unix_nano)


def test_azure_rows_become_chats_in_the_same_rhythm_up_to_the_end(azure: Path) -> None:
    spans = in_order(list(read(replay(azure, end=END))))
    starts = [one.span.start_time_unix_nano / 1e9 - END.timestamp() for one in spans]
    assert starts == pytest.approx([-60.052, -60, 0], abs=1e-4)
    assert [one.attributes["gen_ai.usage.input_tokens"] for one in spans] == [4808, 3180, 110]
    assert [one.attributes["gen_ai.usage.output_tokens"] for one in spans] == [10, 8, 27]
    assert {one.resource["service.name"] for one in spans} == {"code"}


def test_the_last_request_falls_on_now_unless_told_otherwise(azure: Path) -> None:
    last = max(one.span.start_time_unix_nano for one in read(replay(azure))) / 1e9
    assert abs(last - datetime.now(UTC).timestamp()) < 5


def test_names_and_model_can_be_chosen(azure: Path) -> None:
    exports = replay(azure, end=END, service="copilot", environment="lab", model="claude-sonnet-4-5")
    one = next(read(exports))
    assert one.resource["service.name"] == "copilot"
    assert one.resource["deployment.environment.name"] == "lab"
    assert one.attributes["gen_ai.request.model"] == "claude-sonnet-4-5"
    with pytest.raises(ValueError, match=r"choose one of .*gpt-4o"):
        replay(azure, model="gpt-0")
    with pytest.raises(ValueError, match="time zone"):
        replay(azure, end=datetime(2026, 3, 9))


def test_repeated_prefix_blocks_become_cached_tokens(mooncake: Path) -> None:
    spans = in_order(list(read(replay(mooncake, end=END))))
    cached = [one.attributes["gen_ai.usage.cache_read.input_tokens"] for one in spans]
    # Three blocks of 512 in OpenAI's steps of 128; the third prompt is below OpenAI's minimum of 1024.
    assert cached == [0, 1536, 0]
    assert trace_duration(mooncake) == timedelta(seconds=27)


def test_the_prefix_cache_forgets_the_least_recently_used() -> None:
    cache = PrefixCache(capacity=2)
    assert cache.shared_tokens([1, 2], 1024) == 0
    assert cache.shared_tokens([1, 2], 700) == 700
    cache.shared_tokens([3], 512)
    assert cache.shared_tokens([1], 512) == 0


def test_the_same_file_and_end_give_the_same_bytes(mooncake: Path) -> None:
    assert list(replay(mooncake, end=END)) == list(replay(mooncake, end=END))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "holds no request"),
        (AZURE, "holds no request"),
        ("time,in,out\n1,2,3\n", r"line 1: 'time,in,out' begins neither.*TIMESTAMP,ContextTokens"),
        (AZURE + "2023-11-16 18:17:03,1,2\n2023-11-16,1\n", r"line 3: has 2 columns"),
        (AZURE + "yesterday,1,2\n", r"line 2: TIMESTAMP is 'yesterday'.*Write it as"),
        (AZURE + "2023-11-16 18:17:03,many,2\n", r"line 2: ContextTokens is 'many'.*whole number"),
        (AZURE + "2023-11-16 18:17:03,1,-2\n", r"line 2: GeneratedTokens is '-2'"),
        (AZURE + "2023-11-16 18:17:03,1,2\n2023-11-16 18:17:02,1,2\n", r"line 3: .*earlier.*Sort"),
        ('{"timestamp": 0\n', r"line 1: is not JSON"),
        ('{"timestamp": 0}\n', r"line 1: lacks input_length, output_length, hash_ids"),
        ('{"timestamp": "x", "input_length": 1, "output_length": 1, "hash_ids": []}\n', r"timestamp is 'x'"),
        ('{"timestamp": 1, "input_length": 1.5, "output_length": 1, "hash_ids": []}\n', r"input_length is 1.5"),
        ('{"timestamp": 1, "input_length": 1, "output_length": true, "hash_ids": []}\n', r"output_length is True"),
        ('{"timestamp": 1, "input_length": 1, "output_length": 1, "hash_ids": "a"}\n', r"hash_ids is not a list"),
        ('{"timestamp": 1, "input_length": 1, "output_length": 1, "hash_ids": [1]}\n[1]\n', r"line 2: is not an obj"),
        ("{" * 200_000, r"line 1: is not JSON"),
        ('{"a":' + "[" * 200_000 + "\n", r"line 1: is not JSON"),
    ],
)
def test_a_malformed_file_is_refused_before_the_first_export(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "trace"
    path.write_text(text)
    with pytest.raises(TraceFileError, match=complaint):
        replay(path)


def test_a_file_that_is_missing_or_binary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceFileError, match="cannot be read"):
        replay(tmp_path / "missing.csv")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(TraceFileError, match="cannot be read"):
        replay(tmp_path / "binary")
