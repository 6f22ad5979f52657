"""Scalar JSON values as protobuf wire bytes, by the type of the field that holds them."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from collector.protobuf import encode_varint

Encoder = Callable[[Any], bytes]

# Bytes fields that OTLP/JSON writes in hexadecimal; all others are base64.
HEX_FIELDS = frozenset({"trace_id", "span_id", "parent_span_id"})

_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5
_INTEGER_TEXT = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_SHORT_VARINTS = tuple(bytes([n]) for n in range(128))
_U64 = 2**64


class Invalid(Exception):
    """A JSON value that does not fit its field; `path` grows while the encoders unwind."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self._segments: list[str] = []

    def under(self, segment: str) -> Invalid:
        self._segments.append(segment)
        return self

    @property
    def path(self) -> str:
        return "$" + "".join(reversed(self._segments))


def encoder(field: FieldDescriptor) -> tuple[Encoder, int]:
    """The encoder of one value of a scalar field and its wire type."""
    if field.type == FieldDescriptor.TYPE_BYTES:
        return (_hex if field.name in HEX_FIELDS else _base64), _DELIMITED
    if field.type == FieldDescriptor.TYPE_ENUM:
        assert field.enum_type is not None
        return _enum(field.enum_type), _VARINT
    return _SCALARS[field.type]


def describe(value: Any) -> str:
    """A JSON value for an error message: its kind and, when it is short, its text."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"the number {value!r:.40}"
    if isinstance(value, str):
        return f"the string {value[:40]!r}" + ("..." if len(value) > 40 else "")
    return "an array" if isinstance(value, list) else "an object"


def varint(number: int) -> bytes:
    # Called about four times an attribute; nearly all of the numbers are lengths of short strings.
    return _SHORT_VARINTS[number] if number < 128 else encode_varint(number)


def _string(value: Any) -> bytes:
    if type(value) is not str:
        raise Invalid(f"expected a string, got {describe(value)}")
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise Invalid("the string has an unpaired surrogate (\\ud800 to \\udfff), which is no character") from None


def _hex(value: Any) -> bytes:
    text = _string(value).decode()
    try:
        return binascii.unhexlify(text)
    except ValueError:
        raise Invalid(
            f"expected an id in hexadecimal, got {describe(text)}; OTLP/JSON writes ids in hexadecimal, not in base64"
        ) from None


def _base64(value: Any) -> bytes:
    text = _string(value).decode().replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise Invalid(f"expected bytes in base64, got {describe(value)}") from None


def _bool(value: Any) -> bytes:
    if type(value) is not bool:
        raise Invalid(f"expected true or false, got {describe(value)}")
    return b"\1" if value else b"\0"


def _double(value: Any) -> bytes:
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError
        return struct.pack("<d", float(value))
    except (ValueError, OverflowError):
        raise Invalid(f"expected a number, got {describe(value)}") from None


def _integer(value: Any, lowest: int, highest: int) -> int:
    is_text = isinstance(value, str) and _INTEGER_TEXT.fullmatch(value)
    if is_text or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    if type(value) is not int:
        raise Invalid(f"expected an integer, got {describe(value)}")
    if not lowest <= value <= highest:
        raise Invalid(f"{describe(value)} is out of range ({lowest} to {highest})")
    return value


def _unsigned(bits: int) -> Callable[[Any], int]:
    return lambda value: _integer(value, 0, 2**bits - 1)


def _signed(bits: int) -> Callable[[Any], int]:
    return lambda value: _integer(value, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _plain(check: Callable[[Any], int]) -> Encoder:
    # A negative int32 or int64 takes ten bytes: protobuf sign-extends both to 64 bits.
    return lambda value: varint(check(value) % _U64)


def _zigzag(check: Callable[[Any], int]) -> Encoder:
    def encode(value: Any) -> bytes:
        number = check(value)
        return varint(number * 2 if number >= 0 else -number * 2 - 1)

    return encode


def _fixed(check: Callable[[Any], int], layout: str) -> Encoder:
    pack = struct.Struct(layout).pack
    return lambda value: pack(check(value))


def _enum(descriptor: EnumDescriptor) -> Encoder:
    numbers = {name: value.number for name, value in descriptor.values_by_name.items()}
    check = _signed(32)

    def encode(value: Any) -> bytes:
        if isinstance(value, str) and not _INTEGER_TEXT.fullmatch(value):
            if value not in numbers:
                raise Invalid(f"expected a number or a name of {descriptor.name}, got {describe(value)}")
            value = numbers[value]
        return varint(check(value) % _U64)

    return encode


_SCALARS: dict[int, tuple[Encoder, int]] = {
    FieldDescriptor.TYPE_STRING: (_string, _DELIMITED),
    FieldDescriptor.TYPE_BOOL: (_bool, _VARINT),
    FieldDescriptor.TYPE_DOUBLE: (_double, _FIXED64),
    FieldDescriptor.TYPE_INT32: (_plain(_signed(32)), _VARINT),
    FieldDescriptor.TYPE_INT64: (_plain(_signed(64)), _VARINT),
    FieldDescriptor.TYPE_UINT32: (_plain(_unsigned(32)), _VARINT),
    FieldDescriptor.TYPE_UINT64: (_plain(_unsigned(64)), _VARINT),
    FieldDescriptor.TYPE_SINT32: (_zigzag(_signed(32)), _VARINT),
    FieldDescriptor.TYPE_SINT64: (_zigzag(_signed(64)), _VARINT),
    FieldDescriptor.TYPE_FIXED32: (_fixed(_unsigned(32), "<I"), _FIXED32),
    FieldDescriptor.TYPE_FIXED64: (_fixed(_unsigned(64), "<Q"), _FIXED64),
    FieldDescriptor.TYPE_SFIXED32: (_fixed(_signed(32), "<i"), _FIXED32),
    FieldDescriptor.TYPE_SFIXED64: (_fixed(_signed(64), "<q"), _FIXED64),
}
