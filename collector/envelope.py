"""One OTLP request, checked at its outermost level and wrapped for the landing table.

A batch is a sequence of length-delimited envelopes and never a merge of requests: in a merge, a
truncated length at the end of one tenant's bytes would swallow the next tenant's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from google.protobuf.message import DecodeError
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from collector.errors import InvalidRequest
from collector.protobuf import I64, LEN, Field, WireError, encode_varint, fields, len_prefix, varint
from collector.signals import Signal

# More resources than that in one request is no telemetry but an attempt to keep the event loop busy.
MAX_RESOURCES = 65_536
_REQUEST_FIELD = 4
_DIGEST_FIELD = 5
_SPAN_TIMES = {(7, I64), (8, I64)}  # start_time_unix_nano, end_time_unix_nano
_LOG_TIMES = {(1, I64), (11, I64)}  # time_unix_nano, observed_time_unix_nano
_METRIC_DATA = {(n, LEN) for n in (5, 7, 9, 10, 11)}  # gauge, sum, histogram, exponential_histogram, summary


@dataclass(frozen=True)
class Envelope:
    """A request on its way: `head` and `body`, one behind the other, are the length-delimited message
    `<Signal>Envelope`. They stay apart, because nothing on the way copies `body`, the Export*ServiceRequest as it was
    received.

    `digest` are 16 bytes that tell the request from every other, `received_ns` is unix time.
    """

    request_id: int
    tenant: str
    signal: Signal
    received_ns: int
    digest: bytes
    head: bytes
    body: bytes


def parts(envelopes: Iterable[Envelope]) -> Iterator[bytes]:
    """The bytes of `envelopes`, one behind the other."""
    for envelope in envelopes:
        yield envelope.head
        yield envelope.body


def wrap(
    signal: Signal, tenant: str, body: bytes, *, request_id: int, received_ns: int, digest: bytes = bytes(16)
) -> Envelope:
    """The envelope of a request whose framing has been checked."""
    name = tenant.encode()
    head = (
        len_prefix(1, len(name)) + name
        + b"\x11" + received_ns.to_bytes(8, "little")
        + b"\x19" + request_id.to_bytes(8, "little")
        + len_prefix(_DIGEST_FIELD, len(digest)) + digest
        + len_prefix(_REQUEST_FIELD, len(body))
    )  # fmt: skip
    return Envelope(request_id, tenant, signal, received_ns, digest, encode_varint(len(head) + len(body)) + head, body)


def unwrap(signal: Signal, data: bytes, position: int = 0) -> Iterator[Envelope]:
    """The envelopes in `data` from `position` on: `parts` of what `wrap` made. Raises WireError."""
    while position < len(data):
        size, start = varint(data, position, len(data))
        found = {field.number: data[field.start : field.end] for field in fields(data, start, start + size)}
        body = found[_REQUEST_FIELD]
        yield Envelope(
            request_id=int.from_bytes(found[3], "little"),
            tenant=found[1].decode(),
            signal=signal,
            received_ns=int.from_bytes(found[2], "little"),
            digest=found[_DIGEST_FIELD],
            head=data[position : start + size - len(body)],
            body=body,
        )
        position = start + size


def check_framing(signal: Signal, body: bytes) -> None:
    """Walk the outermost fields, and look at the first record to catch a request of another signal.

    Raises InvalidRequest when `body` is not framed like a request of `signal`.
    """
    try:
        first = _outermost(body)
        record = _first_record(body, first) if first else None
        other = _looks_like(body, record) if record else None
    except WireError as error:
        raise InvalidRequest(
            f"The request is not valid protobuf: {error}. It was cut off or is not an OTLP {signal} request."
        ) from None
    if other and other != signal:
        raise InvalidRequest(f"This is a {other} request: send it to the {other} service or to /v1/{other}.")


def _outermost(body: bytes) -> Field | None:
    first = None
    count = 0
    for field in fields(body):
        count += 1
        if count > MAX_RESOURCES:
            raise InvalidRequest(f"The request has more than {MAX_RESOURCES} resources. Send it in smaller requests.")
        if field.number == 1:
            if field.wire_type != LEN:
                raise WireError(f"byte {field.start}: field 1 is not a message")
            first = first or field
    if count and first is None:
        raise WireError("it has fields, but none of them is a resource")
    return first


def _first_record(body: bytes, resource: Field) -> Field | None:
    """The first span, log record or metric of the first resource and scope; all three are field 2 of field 2."""
    scope = _child(body, resource, 2)
    return _child(body, scope, 2) if scope else None


def _child(body: bytes, parent: Field, number: int) -> Field | None:
    children = islice(fields(body, parent.start, parent.end), 64)
    return next((field for field in children if field.number == number and field.wire_type == LEN), None)


def _looks_like(body: bytes, record: Field) -> Signal | None:
    """The signal whose record this is, told by fields that mean something else in the others."""
    has_data = False
    for field in islice(fields(body, record.start, record.end), 64):
        key = (field.number, field.wire_type)
        if key in _SPAN_TIMES:
            return Signal.TRACES
        if key in _LOG_TIMES:
            return Signal.LOGS
        has_data = has_data or key in _METRIC_DATA
    return Signal.METRICS if has_data and _is_metric(body[record.start : record.end]) else None


def _is_metric(record: bytes) -> bool:
    """A span without times has a name or attributes where a metric has its data, which do not parse as such."""
    try:
        Metric.FromString(record)
    except DecodeError:
        return False
    return True
