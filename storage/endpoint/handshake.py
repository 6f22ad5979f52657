"""The answer to the first question of clickhouse-go 2.40 and later, on which Grafana's plugin is built.

The driver asks for Native blocks of the revision in `client_protocol_version`, which the embedded engine cannot
write: its Native is revision 0. But the driver then continues with the revision that the answer to this one query
names. So this answer is written by hand in the revision asked for, and names revision 0.
"""

from __future__ import annotations

HANDSHAKE = "SELECT displayName(), version(), revision(), timezone()"

_BLOCK_INFO_REVISION = 51903
_SERIALIZATION_REVISION = 54454
_BLOCK_INFO = bytes([1, 0, 2, 255, 255, 255, 255, 0])


def is_handshake(sql: str) -> bool:
    return len(sql) < 200 and " ".join(sql.split()).rstrip("; ") == HANDSHAKE


def answer(protocol_version: int, display_name: str, version: str, timezone: str) -> bytes:
    """The one-row Native block for a client of `protocol_version`."""
    columns = [
        ("displayName()", "String", _text(display_name)),
        ("version()", "String", _text(version)),
        ("revision()", "UInt32", (0).to_bytes(4, "little")),
        ("timezone()", "String", _text(timezone)),
    ]
    info = _BLOCK_INFO if protocol_version >= _BLOCK_INFO_REVISION else b""
    custom = b"\0" if protocol_version >= _SERIALIZATION_REVISION else b""
    header = info + _varint(len(columns)) + _varint(1)
    return header + b"".join(_text(name) + _text(type_) + custom + data for name, type_, data in columns)


def _text(value: str) -> bytes:
    raw = value.encode()
    return _varint(len(raw)) + raw


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
