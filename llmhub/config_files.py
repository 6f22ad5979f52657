"""The files that a configuration names: whether the hub could use them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from collector.spool import KeyFileError, open_key
from llmhub.config import Config
from llmhub.content import read_policy
from receivers import otlp_grpc, otlp_http
from receivers.listener import ListenError, tls_files
from storage import registry
from storage.content_policy import PolicyError
from storage.registry import RegistryError

_PROBLEMS = (ListenError, PolicyError, RegistryError, KeyFileError)


def unusable_files(config: Config) -> list[str]:
    """What is wrong with them, a text for each."""
    grpc, http, spool = config.receivers.otlp_grpc, config.receivers.otlp_http, config.collector.spool
    checks: list[Callable[[], object]] = [
        lambda: tls_files(grpc.tls_cert_file, grpc.tls_key_file, otlp_grpc.SECTION),
        lambda: tls_files(http.tls_cert_file, http.tls_key_file, otlp_http.SECTION),
        lambda: read_policy(config.storage.content),
    ]
    if path := config.storage.registry.path:
        checks.append(lambda: registry.read(Path(path), config.receivers.tenant))
    if spool.key_file and Path(spool.key_file).exists():  # the first start makes one
        checks.append(lambda: open_key(Path(spool.key_file)))
    found = []
    for check in checks:
        try:
            check()
        except _PROBLEMS as error:
            found.append(str(error))
    return found
