"""The service registry: who answers for a service, from a YAML or CSV file and from asset events.

The rows are in `llm_service_entries`, one a service and source; the dictionary `llm_service` is what the views look up.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from storage import queries, yaml_file
from storage.statement import quote_name
from storage.store import Store

MAX_BYTES = 16 << 20
"""Largest file: some 100 000 services."""

_SHOWN_PROBLEMS = 10


class RegistryError(Exception):
    """The file cannot be used; str() has one line a problem, each with file, line and remedy."""


@dataclass(frozen=True)
class RegistrySettings:
    """`path` is the file, '' none; every `check_seconds` the hub looks whether it or an asset event is new, 0: never."""

    path: str = ""
    check_seconds: float = 10.0


@dataclass(frozen=True)
class Service:
    """One entry of the file. '' and () are what it does not say."""

    service: str
    tenant: str
    team: str = ""
    owner: str = ""
    cost_center: str = ""
    tier: str = ""
    approved_models: tuple[str, ...] = field(default=())


_TEXTS = tuple(item.name for item in fields(Service) if item.name != "approved_models")
_KEYS = (*_TEXTS, "approved_models")


def read(path: Path, tenant: str) -> list[Service]:
    """The entries of `path`; those without a tenant are of `tenant`. Raises RegistryError."""
    return parse(path, _content(path), tenant)


def parse(path: Path, content: bytes, tenant: str) -> list[Service]:
    """As `read`; `path` names the file in errors and tells by its end whether it is CSV."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RegistryError(f"{path}: it is not UTF-8; save it as UTF-8") from None
    problems: list[str] = []
    found: dict[tuple[str, str], Service] = {}
    for line, entry in (_csv_entries if path.suffix == ".csv" else _yaml_entries)(path, text):
        problem = _problem(entry)
        service = None if problem else _service(entry, tenant)
        if service and (service.tenant, service.service) in found:
            problem = f"service {service.service!r} of tenant {service.tenant!r} is in the file twice: remove one"
        if problem:
            problems.append(f"{path}, line {line}: {problem}")
        elif service:
            found[service.tenant, service.service] = service
    if problems:
        more = [f"and {len(problems) - _SHOWN_PROBLEMS} more"] if len(problems) > _SHOWN_PROBLEMS else []
        raise RegistryError("\n".join([*problems[:_SHOWN_PROBLEMS], *more]))
    return list(found.values())


def load_file(store: Store, path: Path, tenant: str) -> bool:
    """Make the file what the registry says; returns whether it was new to the store. One insert, so all of it or nothing.
    Raises RegistryError, and then the registry is as before; StoreError."""
    content = _content(path)
    services = parse(path, content, tenant)
    version = hashlib.sha256(content + b"\n" + tenant.encode()).hexdigest()
    if store.rows("SELECT 1 FROM llm_reference FINAL WHERE name = 'llm_service_entries' AND version = {v:String}", params={"v": version}):  # fmt: skip
        return False
    known = store.rows("SELECT tenant, service FROM llm_service_entries FINAL WHERE source = 'file' AND NOT removed")
    listed = {(each.tenant, each.service) for each in services}
    gone = [row for row in known if (row["tenant"], row["service"]) not in listed]
    rows = [*({**asdict(each), "source": "file"} for each in services), *({**row, "source": "file", "removed": True} for row in gone)]  # fmt: skip
    if rows:
        store.insert("llm_service_entries", _json_lines(rows), fmt="JSONEachRow")
    reload_dictionary(store)
    store.insert("llm_reference", _json_lines([{"name": "llm_service_entries", "version": version}]), fmt="JSONEachRow")
    return True


def events_version(store: Store) -> str:
    """Changes when an asset event of a service has been stored. Raises StoreError."""
    (row,) = store.rows(queries.text("service_events_version"))
    return str(row["version"])


def load_events(store: Store) -> None:
    """Take over what asset events say of services. Can be done again without harm. Raises StoreError."""
    store.execute(queries.text("service_events"))
    reload_dictionary(store)


def reload_dictionary(store: Store) -> None:
    store.execute(f"SYSTEM RELOAD DICTIONARY {quote_name(store.database)}.llm_service")


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RegistryError(f"{path}: cannot be read: {error.strerror}; see storage.registry.path") from None
    if len(content) > MAX_BYTES:
        raise RegistryError(f"{path}: is larger than {MAX_BYTES} bytes: leave out services that are gone")
    return content


def _csv_entries(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        unknown = sorted(set(reader.fieldnames or ()) - set(_KEYS))
        if unknown or "service" not in (reader.fieldnames or ()):
            what = f"unknown column {unknown[0]!r}" if unknown else "there is no column 'service'"
            raise RegistryError(f"{path}, line 1: {what}; the first line names the columns, of {', '.join(_KEYS)}")
        for row in reader:
            if None in row:
                yield reader.line_num, {"": "more cells than columns: quote a cell that has a comma in it"}
                continue
            models = (row.pop("approved_models", None) or "").split()
            yield reader.line_num, {**{key: value or "" for key, value in row.items()}, "approved_models": models}
    except csv.Error as error:
        raise RegistryError(f"{path}, line {reader.line_num}: it is not CSV: {error}") from None


def _yaml_entries(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """`services:` and below it a list of entries."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        tree = yaml_file.parse(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RegistryError(f"{path}, line {line}: it cannot be read as YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RegistryError(f"{path}: it cannot be read as YAML: {error}") from None
    if root is None:
        return
    services = next((value for key, value in root.value if key.value == "services"), None) if _is_map(root) else None
    if services is None or not isinstance(services, yaml.SequenceNode) or len(root.value) != 1:
        raise RegistryError(
            f"{path}, line 1: it must be one key 'services:' with a list below it, such as '- {{service: checkout, team: payments}}'"
        )
    for node, entry in zip(services.value, tree["services"], strict=True):
        yield node.start_mark.line + 1, entry if isinstance(entry, dict) else {"": "an entry is a mapping such as {service: checkout, team: payments}"}  # fmt: skip


def _is_map(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode)


def _problem(entry: dict[str, Any]) -> str:
    if "" in entry:
        return str(entry[""])
    for key, value in entry.items():
        if key not in _KEYS:
            return f"unknown key {key!r}; known are {', '.join(_KEYS)}"
        if key == "approved_models":
            if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
                return "approved_models must be a list of texts, such as [gpt-4o*, claude-*]"
        elif not isinstance(value, str):
            return f"{key} must be a text; put {value!r} in quotes"
    return (
        ""
        if entry.get("service")
        else "the entry has no service: add service: and the service.name that its spans have"
    )


def _service(entry: dict[str, Any], tenant: str) -> Service:
    texts = {key: entry[key].strip() for key in _TEXTS if entry.get(key)}
    return Service(**{"tenant": tenant, **texts}, approved_models=tuple(entry.get("approved_models", ())))


def _json_lines(rows: Iterable[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()
