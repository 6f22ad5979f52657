"""Writes the tree that Grafana's file provisioning reads: the data source, the dashboards and where they lie."""

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from grafana.compile import compiled
from grafana.model import DATASOURCE_NAME, DATASOURCE_UID, PLUGIN, Json

_UID = re.compile(r"[A-Za-z0-9_-]{1,40}")
_ENVIRONMENT_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class RenderSettings:
    """How Grafana reaches the store, and where it finds the dashboards.

    `host` and `port` are ClickHouse's HTTP interface as seen from Grafana. The password is never written:
    Grafana reads it from its own environment, from the variable named `password_env`. `dashboards_path` is
    where the `dashboards/` folder of the tree lies on Grafana's machine. Raises ValueError for a value that
    Grafana would refuse.
    """

    host: str = "127.0.0.1"
    port: int = 8123
    secure: bool = False
    database: str = "llm"
    username: str = "default"
    password_env: str = "LLM_CLICKHOUSE_PASSWORD"
    uid: str = DATASOURCE_UID
    dashboards_path: str = "/var/lib/grafana/dashboards/llm-analytics"

    def __post_init__(self) -> None:
        if not self.host:
            raise ValueError("host is empty: name the machine that serves ClickHouse's HTTP interface")
        if not 0 < self.port < 65536:
            raise ValueError(f"port {self.port} is not between 1 and 65535")
        if not _UID.fullmatch(self.uid):
            raise ValueError(f"uid {self.uid!r} is not 1 to 40 letters, digits, '-' or '_'")
        if not _ENVIRONMENT_VARIABLE.fullmatch(self.password_env):
            raise ValueError(f"password_env {self.password_env!r} is not the name of an environment variable")


def render(target: Path, settings: RenderSettings) -> list[Path]:
    """Writes the tree below `target`, which is made if need be; returns the files in the order written.

    Files of the same name are replaced, others are left alone. Equal settings give equal bytes.
    """
    texts = {
        "provisioning/datasources/llm-analytics.yaml": _yaml(_datasources(settings)),
        "provisioning/dashboards/llm-analytics.yaml": _yaml(_providers(settings)),
    } | {f"dashboards/{name}": text for name, text in compiled(settings.uid)}
    return [_write(target / path, text) for path, text in texts.items()]


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _yaml(content: Json) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def _literal(text: str) -> str:
    """Grafana expands `$NAME` in these files."""
    return text.replace("$", "$$")


def _datasources(settings: RenderSettings) -> Json:
    return {
        "apiVersion": 1,
        "datasources": [
            {
                "name": DATASOURCE_NAME,
                "uid": settings.uid,
                "type": PLUGIN,
                "access": "proxy",
                "isDefault": False,
                "editable": False,
                "version": 1,
                "jsonData": _connection(settings) | _explore(settings),
                "secureJsonData": {"password": f"${settings.password_env}"},
            }
        ],
    }


def _connection(settings: RenderSettings) -> Json:
    return {
        "host": _literal(settings.host),
        "port": settings.port,
        "protocol": "http",
        "secure": settings.secure,
        "username": _literal(settings.username),
        "defaultDatabase": _literal(settings.database),
        "dialTimeout": "10",
        "queryTimeout": "60",
        # The embedded store answers a few queries at a time: more connections would only wait.
        "maxOpenConns": "10",
        "maxIdleConns": "10",
    }


def _explore(settings: RenderSettings) -> Json:
    """The OpenTelemetry tables, for Explore."""
    opentelemetry = {"defaultDatabase": _literal(settings.database), "otelEnabled": True, "otelVersion": "latest"}
    return {
        "logs": {**opentelemetry, "defaultTable": "otel_logs"},
        "traces": {**opentelemetry, "defaultTable": "otel_traces", "durationUnit": "nanoseconds"},
    }


def _providers(settings: RenderSettings) -> Json:
    return {
        "apiVersion": 1,
        "providers": [
            {
                "name": "llm-analytics",
                "orgId": 1,
                "type": "file",
                "folder": "LLM Analytics",
                "folderUid": "llm-analytics",
                "disableDeletion": True,
                "allowUiUpdates": False,
                "updateIntervalSeconds": 30,
                "options": {"path": _literal(settings.dashboards_path), "foldersFromFilesStructure": False},
            }
        ],
    }
