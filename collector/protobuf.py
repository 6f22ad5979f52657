"""The protobuf wire format, read just far enough to accept, wrap or explain a request.

Spec: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

VARINT, I64, LEN, I32 = 0, 1, 2, 5
_FIXED = {I64: 8, I32: 4}
# As protobuf implementations have it: https://protobuf.dev/reference/cpp/api-docs/google.protobuf.io.coded_stream/
MAX_DEPTH = 100


class WireError(ValueError):
    """The bytes are not a protobuf message; str() says what is wrong and where."""


class Field(NamedTuple):
    """One field on the wire. `start` to `end` is its payload (for VARINT: its encoding)."""

    number: int
    wire_type: int
    start: int
    end: int


def fields(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Field]:
    """The fields of the message in `data[start:end]`. Raises WireError at the first broken one."""
    position, stop = start, len(data) if end is None else end
    while position < stop:
        begin = position
        key, position = varint(data, position, stop)
        number, wire_type = key >> 3, key & 7
        if number == 0:
            raise WireError(f"byte {begin}: field number 0")
        if wire_type == LEN:
            size, position = varint(data, position, stop)
        elif wire_type == VARINT:
            size = varint(data, position, stop)[1] - position
        elif wire_type in _FIXED:
            size = _FIXED[wire_type]
        else:
            raise WireError(f"byte {begin}: wire type {wire_type} is not in use")
        if position + size > stop:
            raise WireError(f"byte {begin}: field {number} announces {size} bytes, {stop - position} are left")
        yield Field(number, wire_type, position, position + size)
        position += size


def varint(data: bytes, position: int, stop: int) -> tuple[int, int]:
    """The varint at `position` and the position behind it."""
    value = shift = 0
    begin = position
    while position < stop and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise WireError(f"byte {begin}: a number does not end")


def encode_varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def len_prefix(number: int, size: int) -> bytes:
    """Key and length in front of a LEN field of `size` bytes."""
    return encode_varint(number << 3 | LEN) + encode_varint(size)


def explain(data: bytes, message: type[Message]) -> str | None:
    """Where `data` stops being a `message`, such as 'resource_spans[0].scope_spans[1]: byte 7: …';
    None when it is well-formed as far as MAX_DEPTH messages down."""
    try:
        _walk(data, 0, len(data), cast(Descriptor, message.DESCRIPTOR), "", MAX_DEPTH)
    except WireError as error:
        return str(error)
    return None


def _walk(data: bytes, start: int, end: int, message: Descriptor, path: str, depth: int) -> None:
    if depth == 0:
        return
    seen: dict[int, int] = {}
    try:
        for field in fields(data, start, end):
            known = message.fields_by_number.get(field.number)
            if known is None:
                continue
            index = seen.get(field.number, 0)
            seen[field.number] = index + 1
            here = f"{path}.{known.name}[{index}]" if known.is_repeated else f"{path}.{known.name}"
            _check(data, field, known, here, depth)
    except WireError as error:
        raise error if ": byte" in str(error) or not path else WireError(f"{path[1:]}: {error}") from None


def _check(data: bytes, field: Field, known: FieldDescriptor, path: str, depth: int) -> None:
    expected = _wire_type(known)
    if field.wire_type not in (expected, LEN if known.is_repeated else expected):
        raise WireError(f"{path[1:]}: byte {field.start}: wire type {field.wire_type} instead of {expected}")
    if known.message_type is not None:
        _walk(data, field.start, field.end, known.message_type, path, depth - 1)


def _wire_type(known: FieldDescriptor) -> int:
    if known.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FIXED64, FieldDescriptor.TYPE_SFIXED64):
        return I64
    if known.type in (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_FIXED32, FieldDescriptor.TYPE_SFIXED32):
        return I32
    if known.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_MESSAGE):
        return LEN
    return VARINT
