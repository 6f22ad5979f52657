from __future__ import annotations

import gzip
import sys
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from receivers.content_encoding import inflate
from receivers.intake import Refusal, Refused

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BODY = b"telemetry " * 500
LIMIT = 1_000_000


def raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(body) + compressor.flush()


ENCODERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("zstd", zstd.compress),
]


def opened(body: bytes, encoding: str, limit: int = LIMIT) -> bytes:
    return inflate(body, encoding, limit, "the.setting")


def refused(body: bytes, encoding: str, limit: int = LIMIT) -> Refused:
    with pytest.raises(Refused) as caught:
        opened(body, encoding, limit)
    return caught.value


@pytest.mark.parametrize(("encoding", "compress"), ENCODERS)
def test_a_compressed_body_is_inflated(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    assert opened(compress(BODY), encoding) == BODY
    assert opened(compress(BODY), f" {encoding.upper()} ") == BODY
    assert opened(compress(b""), encoding) == b""


@pytest.mark.parametrize("encoding", ["", "identity"])
def test_a_plain_body_is_left_alone(encoding: str) -> None:
    assert opened(BODY, encoding) == BODY


@pytest.mark.parametrize(("encoding", "compress"), ENCODERS)
def test_the_limit_counts_inflated_bytes_and_is_inclusive(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    assert opened(compress(BODY), encoding, limit=len(BODY)) == BODY
    error = refused(compress(BODY), encoding, limit=len(BODY) - 1)
    assert error.reason is Refusal.TOO_LARGE
    assert "the.setting" in str(error)


@pytest.mark.parametrize(("encoding", "compress"), ENCODERS)
def test_a_bomb_costs_no_more_memory_than_the_limit(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    bomb = compress(bytes(200_000_000))
    tracemalloc.start()
    refused(bomb, encoding)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * LIMIT


@pytest.mark.parametrize(("encoding", "compress"), ENCODERS)
def test_a_truncated_body_is_refused(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    error = refused(compress(BODY)[:-3], encoding)
    assert error.reason is Refusal.BAD_ENCODING
    assert "ends early" in str(error)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_body_in_another_encoding_than_named_is_refused(encoding: str) -> None:
    error = refused(b"\xfe\xffnot compressed at all", encoding)
    assert error.reason is Refusal.BAD_ENCODING
    assert f"not valid {encoding}" in str(error)


def test_an_unknown_encoding_is_refused_with_the_known_ones() -> None:
    error = refused(BODY, "br")
    assert error.reason is Refusal.UNSUPPORTED_ENCODING
    assert "gzip, deflate, zstd" in str(error)


def test_several_streams_end_to_end_are_one_body_up_to_a_number() -> None:
    assert opened(gzip.compress(BODY) * 16, "gzip") == BODY * 16
    assert refused(gzip.compress(b"") * 17, "gzip").reason is Refusal.BAD_ENCODING


def test_a_zstd_window_that_asks_for_much_memory_is_refused() -> None:
    options: dict[int, int] = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.content_size_flag: 0}
    compressor = zstd.ZstdCompressor(options=options)
    body = compressor.compress(BODY) + compressor.flush()
    assert refused(body, "zstd").reason is Refusal.BAD_ENCODING
