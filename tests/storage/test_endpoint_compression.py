from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import lz4.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.endpoint import framing
from storage.endpoint.encoding import choose, decode, encode
from storage.endpoint.zstandard import zstd
from storage.store import StoreError
from tests.storage.conftest import Endpoint

DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "zstd": zstd.decompress,
    "lz4": lz4.frame.decompress,
}
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd.compress,
    "lz4": lz4.frame.compress,
}


@pytest.mark.parametrize("name", DECOMPRESS)
def test_responses_are_compressed_when_the_client_accepts_it(endpoint: Endpoint, name: str) -> None:
    headers = {"Accept-Encoding": name}
    numbers = {"query": "SELECT number FROM numbers(1000)"}
    large = endpoint.send("GET", headers=headers, params=numbers)
    assert large.headers["Content-Encoding"] == name
    assert DECOMPRESS[name](large.data).split() == [str(n).encode() for n in range(1000)]
    small = endpoint.send("GET", headers=headers, params={"query": "SELECT 1"})
    assert ("Content-Encoding" in small.headers, small.data) == (False, b"1\n")
    asked = endpoint.send("GET", headers=headers, params={"query": "SELECT 1", "enable_http_compression": "1"})
    assert (asked.headers["Content-Encoding"], DECOMPRESS[name](asked.data)) == (name, b"1\n")
    unwanted = endpoint.send("GET", headers=headers, params={**numbers, "enable_http_compression": "0"})
    assert "Content-Encoding" not in unwanted.headers


@pytest.mark.parametrize("name", COMPRESS)
def test_requests_may_be_compressed(endpoint: Endpoint, table: Callable[[str], str], name: str) -> None:
    target = table("a UInt64")
    headers = {"Content-Encoding": name}
    body = COMPRESS[name](b"1\n2\n")
    query = f"INSERT INTO {target} FORMAT TSV"
    assert endpoint.send("POST", body, user="writer", headers=headers, params={"query": query}).status == 200
    assert endpoint.get(f"SELECT sum(a) FROM {target}").data == b"3\n"
    whole = COMPRESS[name](f"SELECT sum(a) FROM {target}".encode())
    assert endpoint.send("POST", whole, headers=headers).data == b"3\n"


@pytest.mark.parametrize("name", [*COMPRESS, "br"])
def test_a_body_that_is_not_what_it_says_is_refused(endpoint: Endpoint, name: str) -> None:
    response = endpoint.send("POST", b"SELECT 1", headers={"Content-Encoding": name})
    assert response.status == 400
    assert response.headers["X-ClickHouse-Exception-Code"] in ("271", "89")


@pytest.mark.parametrize("name", COMPRESS)
def test_a_body_that_grows_beyond_the_limit_is_refused_early(name: str) -> None:
    bomb = COMPRESS[name](b"\0" * 50_000_000)
    with pytest.raises(StoreError, match="TOO_MANY_BYTES"):
        decode(name, bomb, 1_000_000)


@pytest.mark.parametrize("name", COMPRESS)
@given(data=st.binary(max_size=5000))
def test_encodings_round_trip_and_cut_bodies_are_refused(name: str, data: bytes) -> None:
    packed = encode(name, data)
    assert decode(name, packed, 10_000) == data
    assert decode(name, packed + packed, 10_000) == data + data
    with pytest.raises(StoreError, match="CANNOT_DECOMPRESS"):
        decode(name, packed[:-1], 10_000)


def test_the_encoding_is_chosen_in_clickhouses_order() -> None:
    assert choose("gzip, deflate, lz4, zstd") == "lz4"
    assert choose("gzip;q=1.0, zstd;q=0") == "gzip"
    assert choose("br, identity") == ""


@given(st.binary(max_size=3000))
def test_frames_round_trip(data: bytes) -> None:
    assert framing.unframe(framing.frame(data), len(data)) == data


def test_frames_are_split_and_bounded() -> None:
    data = b"x" * (framing.FRAME_BYTES * 2 + 5)
    assert framing.unframe(framing.frame(data), len(data)) == data
    with pytest.raises(StoreError, match="TOO_MANY_BYTES"):
        framing.unframe(framing.frame(data), len(data) - 1)


@given(st.binary(min_size=1, max_size=200))
def test_bytes_that_are_no_frames_are_refused(data: bytes) -> None:
    with pytest.raises(StoreError):
        framing.unframe(data, 1000)


def test_results_and_errors_are_framed_when_asked(endpoint: Endpoint) -> None:
    result = endpoint.get("SELECT number FROM numbers(100000)", compress="1")
    assert framing.unframe(result.data, 1 << 20).count(b"\n") == 100_000
    error = endpoint.get("SELECT nope", compress="1")
    assert error.status == 404
    assert framing.unframe(error.data, 1 << 20).startswith(b"Code: 47.")
    assert endpoint.get("SELECT 1 WHERE 0", compress="1").data == b""
