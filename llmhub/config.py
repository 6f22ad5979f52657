"""The configuration: one YAML file, environment overrides, every key checked.

The tree below is the documentation of what exists; README.md explains each key and a test holds the
two together. An environment variable overrides the file: LLMHUB_RECEIVERS__OTLP_GRPC__LISTEN sets
receivers.otlp_grpc.listen.
"""

from __future__ import annotations

import difflib
import ipaddress
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from collector.gaps import GapsSettings
from collector.settings import PipelineSettings
from collector.sweep import SweepSettings
from receivers.kafka import KafkaSettings
from receivers.listener import ListenError, split_address
from receivers.otlp_grpc import OtlpGrpcSettings
from receivers.otlp_http import OtlpHttpSettings
from receivers.tail import TailSettings
from storage import yaml_file
from storage.content import ContentKeyError, check_keys
from storage.content_policy import ContentSettings
from storage.endpoint import EndpointSettings
from storage.mapping import Alias, MappingError, MappingSettings, Operation, Provider
from storage.overrides import PriceSettings
from storage.registry import RegistrySettings
from storage.store import Limits, StoreError, embedded_path, open_store

ENVIRONMENT_PREFIX = "LLMHUB_"
FILE_VARIABLE = "LLMHUB_CONFIG"
LogLevel = Literal["debug", "info", "warning", "error"]


# What Kubernetes puts into the environment of every pod beside a Service named llmhub.
_SERVICE_LINK = re.compile(r"LLMHUB_(?:SERVICE_(?:HOST|PORT)|PORT)(?:_[A-Z0-9_]+)?\Z")


# Pydantic's names of types, and those of the people who write YAML.
_TYPES = {
    "string": "a text",
    "tuple": "a list",
    "list": "a list",
    "dictionary": "a mapping",
    "integer": "a whole number",
    "boolean": "true or false",
    "number": "a number",
    "null": "left empty",
}
_PYDANTIC = {
    "str": "string",
    "dict": "dictionary",
    "int": "integer",
    "bool": "boolean",
    "float": "number",
    "NoneType": "null",
}


class ConfigError(Exception):
    """The configuration cannot be used; str() has one line for each key at fault."""


def data_directory() -> Path:
    """Where the hub keeps what no setting puts elsewhere."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data).absolute() / "llmhub"


def default_dsn() -> str:
    return f"chdb://{data_directory()}"


@dataclass(frozen=True)
class ClickhouseHttpConfig(EndpointSettings):
    """The ClickHouse HTTP interface of the embedded store."""

    listen: str = "127.0.0.1:8123"


@dataclass(frozen=True)
class StorageConfig:
    dsn: str = field(default_factory=default_dsn)
    limits: Limits = Limits()
    clickhouse_http: ClickhouseHttpConfig = ClickhouseHttpConfig()
    aliases: tuple[Alias, ...] = ()
    operations: tuple[Operation, ...] = ()
    providers: tuple[Provider, ...] = ()
    dimensions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    prices: PriceSettings = field(default_factory=PriceSettings)
    content: ContentSettings = ContentSettings()
    registry: RegistrySettings = RegistrySettings()

    @property
    def mapping(self) -> MappingSettings:
        """What is added to the alias table."""
        return MappingSettings(self.aliases, self.operations, self.providers, self.dimensions)


@dataclass(frozen=True)
class ReceiversConfig:
    """`workers` is the number of processes that share the ports."""

    otlp_grpc: OtlpGrpcSettings = OtlpGrpcSettings()
    otlp_http: OtlpHttpSettings = OtlpHttpSettings()
    kafka: KafkaSettings = KafkaSettings()
    tenant: str = "default"
    max_intake_bytes: int = 256 << 20
    workers: int = 1


@dataclass(frozen=True)
class ApiConfig:
    listen: str = "127.0.0.1:8080"
    tail: TailSettings = TailSettings()


@dataclass(frozen=True)
class TelemetryConfig:
    """What the hub says about itself."""

    log_level: LogLevel = "info"
    log_format: Literal["json", "text"] = "json"
    traces_endpoint: str = ""


@dataclass(frozen=True)
class Config:
    storage: StorageConfig = field(default_factory=StorageConfig)
    receivers: ReceiversConfig = ReceiversConfig()
    collector: PipelineSettings = PipelineSettings()
    sweep: SweepSettings = SweepSettings()
    gaps: GapsSettings = GapsSettings()
    api: ApiConfig = ApiConfig()
    telemetry: TelemetryConfig = TelemetryConfig()
    shutdown_seconds: float = 20.0

    @property
    def spool_directory(self) -> Path:
        """collector.spool.path; by default beside the embedded store or, with a server, in the data directory."""
        if self.collector.spool.path:
            return Path(self.collector.spool.path)
        dsn = self.storage.dsn
        return (Path(embedded_path(dsn)) if dsn.startswith("chdb:") else data_directory()) / "spool"

    def with_dsn(self, dsn: str) -> Config:
        return replace(self, storage=replace(self.storage, dsn=dsn))


def load(path: Path | None = None, environment: Mapping[str, str] | None = None, dsn: str | None = None) -> Config:
    """The configuration from `path` (None: defaults) and `environment` (None: os.environ), on the store `dsn` when
    given. Raises ConfigError."""
    tree = _read(path) if path else {}
    for name, value in sorted((os.environ if environment is None else environment).items()):
        if name.startswith(ENVIRONMENT_PREFIX) and name != FILE_VARIABLE and not _SERVICE_LINK.match(name):
            _override(tree, name, value)
    _check_keys(tree, Config, "")
    _make_absolute(tree, (path.parent if path else Path()).absolute())
    try:
        config = TypeAdapter(Config).validate_python(tree)
    except ValidationError as error:
        raise ConfigError("\n".join(map(_describe, error.errors()))) from None
    config = config.with_dsn(dsn) if dsn else config
    for key, value in _values(config):
        _check_value(key, value)
    _check_attributes(config)
    _check_exposure(config)
    _check_room(config)
    _check_workers(config)
    return config


def every_setting() -> Iterator[tuple[str, Any]]:
    """Every setting as (dotted key, default)."""
    return _values(Config())


def _values(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for item in fields(node):
        value = getattr(node, item.name)
        if is_dataclass(value):
            yield from _values(value, f"{prefix}{item.name}.")
        else:
            yield f"{prefix}{item.name}", value


def _check_value(key: str, value: Any) -> None:
    """What the types do not say. All whole numbers are sizes and counts, all others seconds."""
    if type(value) is int and value < 1:
        raise ConfigError(f"{key} must be at least 1, not {value}")
    if type(value) is float and not 0 <= value < math.inf:
        raise ConfigError(f"{key} must be a number from 0 on, not {value:g}")
    try:
        if key.endswith(".listen"):
            split_address(value, key)
        elif key == "storage.dsn":
            _check_dsn(value)
    except ListenError as error:
        raise ConfigError(str(error)) from None
    except StoreError as error:
        raise ConfigError(f"{key}: {error}") from None


def _check_dsn(dsn: str) -> None:
    if dsn.startswith("chdb:"):
        embedded_path(dsn)
    elif dsn.startswith(("clickhouse:", "clickhouses:")):
        from storage.server import ServerAddress  # brings the driver, which the embedded store does without

        ServerAddress.parse(dsn)
    else:
        open_store(dsn)  # which knows the text for a scheme that is none


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = yaml_file.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read the configuration {path} (--config or {FILE_VARIABLE}): {error.strerror}"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"cannot read the configuration {path}: it is not UTF-8") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(tree, dict | None):
        raise ConfigError(f"{path} must be a mapping of sections such as 'storage:', not a {type(tree).__name__}")
    return tree or {}


def _override(tree: dict[str, Any], variable: str, value: str) -> None:
    *sections, key = variable.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
    parsed = _parse_value(variable, value)
    try:
        _check_keys(_nested(sections, {key: parsed}), Config, "")
    except ConfigError as error:
        raise ConfigError(f"{variable}: {error}") from None
    node = tree
    for section in sections:
        child = node.get(section)
        if not isinstance(child, dict):
            if child is not None:
                raise ConfigError(f"{variable}: {section} is no section of the configuration")
            child = node[section] = {}
        node = child
    node[key] = parsed


def _nested(sections: list[str], leaf: dict[str, Any]) -> dict[str, Any]:
    for section in reversed(sections):
        leaf = {section: leaf}
    return leaf


def _parse_value(variable: str, value: str) -> Any:
    """Lists and mappings, such as users, are written as YAML; '[::1]:4317' is neither."""
    if value[:1] + value[-1:] not in ("[]", "{}"):
        return value
    try:
        return yaml_file.parse(value)
    except yaml.YAMLError:  # whose text repeats the value, passwords included
        raise ConfigError(f"{variable} is not valid YAML; quote what has special characters") from None


def _check_keys(tree: dict[str, Any], kind: type, prefix: str) -> None:
    hints = get_type_hints(kind)
    known = [item.name for item in fields(kind)]
    for key, value in tree.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {prefix}{near[0]}?" if near else f"known here: {', '.join(known)}"
            raise ConfigError(f"{prefix}{key} is not a setting; {hint}")
        if is_dataclass(hints[key]):
            if value is None:  # all of it is commented out
                tree[key] = {}
                continue
            if not isinstance(value, dict):
                raise ConfigError(f"{prefix}{key} is a section and needs keys of its own, not {value!r}")
            _check_keys(value, hints[key], f"{prefix}{key}.")
        elif is_dataclass(kind_of_item := next(iter(get_args(hints[key])), None)) and isinstance(value, list):
            for number, item in enumerate(value):
                if isinstance(item, dict):
                    _check_keys(item, cast(type, kind_of_item), f"{prefix}{key}.{number}.")


def _make_absolute(tree: dict[str, Any], base: Path) -> None:
    """Files are named relative to the configuration file; the process does not stay where it was started."""
    for key, value in tree.items():
        if isinstance(value, dict):
            _make_absolute(value, base)
        elif (key == "path" or key.endswith("_file")) and isinstance(value, str) and value:
            tree[key] = str(base / value)


def _describe(error: Any) -> str:
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] == "value_error":
        return f"{path}: {error['msg'].removeprefix('Value error, ')}"
    said = error["msg"].replace("Input should be", "must be")
    if error["type"].endswith(("_parsing", "_type", "_from_float")):
        said = said.partition(",")[0]
    for theirs, ours in _TYPES.items():
        said = said.replace(f"a valid {theirs}", ours)
    # The value itself may be a secret, so only its type is named.
    given = type(error["input"]).__name__
    return f"{path} {said}; it is {_TYPES.get(_PYDANTIC.get(given, given), given)}"


def _check_attributes(config: Config) -> None:
    mapping = config.storage.mapping
    try:
        mapping.check()
        check_keys(config.storage.content.keys, mapping.slots())
    except (MappingError, ContentKeyError) as error:
        raise ConfigError(str(error)) from None


def _check_exposure(config: Config) -> None:
    http = config.storage.clickhouse_http
    guarded = http.users and all(user.password or user.password_sha256 for user in http.users)
    if config.storage.dsn.startswith("chdb:") and not guarded and not _is_loopback(http.listen):
        raise ConfigError(
            f"storage.clickhouse_http.listen is {http.listen}, which others can reach: set "
            "storage.clickhouse_http.users, each with a password, or listen on 127.0.0.1"
        )


def _check_room(config: Config) -> None:
    """A request that its receiver lets in must fit into the collector, or its sender would retry for ever."""
    receivers = config.receivers
    limits = (
        receivers.otlp_grpc.max_message_bytes,
        receivers.otlp_http.max_body_bytes,
        receivers.kafka.max_message_bytes,
    )
    largest = max(limits)
    if config.collector.max_pending_bytes < largest:
        raise ConfigError(
            f"collector.max_pending_bytes is {config.collector.max_pending_bytes}, less than the largest request a "
            f"receiver takes ({largest} bytes): raise it, or lower receivers.otlp_grpc.max_message_bytes, "
            "receivers.otlp_http.max_body_bytes and receivers.kafka.max_message_bytes"
        )
    # Compressed JSON is there twice while it becomes protobuf.
    if config.receivers.max_intake_bytes < 2 * largest:
        raise ConfigError(
            f"receivers.max_intake_bytes is {config.receivers.max_intake_bytes}, less than twice the largest request a "
            f"receiver takes ({largest} bytes): raise it, or lower receivers.otlp_grpc.max_message_bytes and "
            "receivers.otlp_http.max_body_bytes"
        )


def _check_workers(config: Config) -> None:
    workers, dsn = config.receivers.workers, config.storage.dsn
    if workers > 1 and config.api.tail.enabled:
        raise ConfigError(
            f"api.tail.enabled: the live tail shows what one process takes, and receivers.workers is {workers}: switch it "
            "off, or set receivers.workers to 1"
        )
    if workers > 1 and dsn.startswith("chdb:"):
        raise ConfigError(
            f"receivers.workers is {workers} and storage.dsn is {dsn}, but an embedded store belongs to one process: set "
            "receivers.workers to 1, or storage.dsn to a ClickHouse server (clickhouse://user:password@host:8123/llm)"
        )


def _is_loopback(listen: str) -> bool:
    host = listen.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
