"""AES-256-GCM for what holds raw telemetry: the spool and the dead letters.

NIST SP 800-38D: with random nonces of 96 bits one key is good for 2^32 messages, decades of batches.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import ciphers
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from storage.disk import fsync_directory

KEY_BYTES = 32
KEY_ID_BYTES = 8
_NONCE_BYTES = 12
_TAG_BYTES = 16
SEAL_BYTES = _NONCE_BYTES + _TAG_BYTES


class KeyFileError(Exception):
    """The key cannot be used; str() names the file and the remedy."""


class Cipher:
    """Seals bytes under one key. Thread-safe. `key_id` tells keys apart and reveals nothing about them."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.key_id = hashlib.sha256(b"llmhub key id" + key).digest()[:KEY_ID_BYTES]

    def seal(self, data: bytes, context: bytes) -> bytes:
        """Nonce, ciphertext and tag, SEAL_BYTES more than `data`. `context` is authenticated with it: `open` needs the
        same."""
        return b"".join(self.sealed([data], context))

    def sealed(self, data: Iterable[bytes], context: bytes) -> Iterator[bytes]:
        """`seal` part by part: what is large never lies in memory twice."""
        nonce = os.urandom(_NONCE_BYTES)
        encryptor = ciphers.Cipher(AES(self._key), GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(context)
        yield nonce
        yield from map(encryptor.update, data)
        yield encryptor.finalize() + encryptor.tag

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Raises ValueError when key, context or bytes are not those of `seal`."""
        try:
            return AESGCM(self._key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError):
            raise ValueError("the bytes were sealed with another key or have changed since") from None


def open_key(path: Path) -> Cipher:
    """The key in `path`, 64 hexadecimal digits; made with mode 0600 when the file does not exist.

    Raises KeyFileError.
    """
    try:
        if not path.exists():
            _create(path)
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except OSError as error:
        raise KeyFileError(f"collector.spool.key_file: cannot use {path}: {error.strerror or error}") from error
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise KeyFileError(
            f"collector.spool.key_file: {path} must hold {2 * KEY_BYTES} hexadecimal digits, as `openssl rand -hex 32` prints"
        )
    return Cipher(key)


def _create(path: Path) -> None:
    """Complete or not at all: a key of which half is lost would make the spool unreadable."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(secrets.token_hex(KEY_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)  # unlike rename, it leaves alone what another process has made meanwhile
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    fsync_directory(path.parent)
