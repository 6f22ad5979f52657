"""Listening addresses and TLS files; every error names the setting that causes it."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from collector.errors import HubError

_BACKLOG = 1024
# Seconds, seconds, probes.
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}


class ListenError(HubError):
    """A receiver cannot start: its address or its TLS files are unusable."""


@dataclass(frozen=True)
class TlsFiles:
    """Paths of a PEM certificate chain and its private key."""

    cert_file: str
    key_file: str


def open_socket(listen: str, setting: str, *, share_port: bool = False) -> socket.socket:
    """A listening TCP socket at `listen` ('host:port', '[v6]:port'; port 0 takes a free one).

    With `share_port` several processes may listen there, and the kernel spreads the connections over them.
    """
    host, port = split_address(listen, setting)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenError(f"{setting}: cannot use the address {listen!r}: {error}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _drop_dead_peers(sock)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        reason = error.strerror or str(error)
        raise ListenError(
            f"{setting}: cannot listen on {listen}: {reason}. Stop what uses that address, or set {setting} to another."
        ) from error
    sock.setblocking(False)
    return sock


def _drop_dead_peers(sock: socket.socket) -> None:
    """Accepted connections inherit it: one whose peer is gone without a word ends within two minutes."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):  # not on every system
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def split_address(listen: str, setting: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ListenError(
            f"{setting}: {listen!r} is not 'host:port' with a port from 0 to 65535, such as 127.0.0.1:4317."
        )
    return host.removeprefix("[").removesuffix("]"), int(port)


def join_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def tls_files(cert_file: str, key_file: str, section: str) -> TlsFiles | None:
    """The TLS files of the settings section, checked to be readable; None when neither is set."""
    if not cert_file and not key_file:
        return None
    if not cert_file or not key_file:
        missing = "tls_key_file" if cert_file else "tls_cert_file"
        raise ListenError(
            f"{section}.{missing} is not set: TLS needs tls_cert_file and tls_key_file. Set both or neither."
        )
    for name, path in (("tls_cert_file", cert_file), ("tls_key_file", key_file)):
        try:
            Path(path).read_bytes()
        except OSError as error:
            raise ListenError(f"{section}.{name}: cannot read {path}: {error.strerror}.") from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert_file, key_file)
    except (ssl.SSLError, ValueError) as error:
        raise ListenError(
            f"{section}.tls_cert_file and tls_key_file: {cert_file} and {key_file} are no certificate in PEM and its "
            f"private key without a password: {error}."
        ) from error
    return TlsFiles(cert_file, key_file)
