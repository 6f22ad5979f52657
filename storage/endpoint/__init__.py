"""The ClickHouse HTTP interface over the embedded store, for Grafana, drivers, collectors and curl."""

from storage.endpoint.app import clickhouse_app
from storage.endpoint.settings import EndpointSettings, EndpointUser

__all__ = ["EndpointSettings", "EndpointUser", "clickhouse_app"]
