"""The SQL with which a ClickHouse server reads the hub's envelopes from Kafka by itself.

https://clickhouse.com/docs/engines/table-engines/integrations/kafka
"""

from __future__ import annotations

from importlib import resources
from string import Template

from storage import otlp_schema
from storage.statement import quote


def kafka_engine_sql(brokers: str, topic_prefix: str, group: str = "clickhouse") -> str:
    """Statements for the topics `<topic_prefix><signal>`, to run once in the hub's database on the server."""
    template = Template(resources.files("storage").joinpath("sql/kafka/signal.sql").read_text(encoding="utf-8"))
    return "\n".join(
        template.substitute(
            signal=signal,
            columns=otlp_schema.landing_columns(signal),
            settings=_settings(brokers, f"{topic_prefix}{signal}", group, f"{signal.capitalize()}Envelope"),
        )
        for signal in otlp_schema.SIGNALS
    )


def _settings(brokers: str, topic: str, group: str, message: str) -> str:
    settings: dict[str, str | int] = {
        "kafka_broker_list": brokers,
        "kafka_topic_list": topic,
        "kafka_group_name": group,
        "kafka_format": "Protobuf",
        # What cannot be parsed goes to kafka_errors and does not stop its partition.
        "kafka_handle_error_mode": "stream",
        "format_schema_source": "string",
        "format_schema_message_name": message,
        "input_format_protobuf_oneof_presence": 1,
        **otlp_schema.JSON_SETTINGS,
        "format_schema": otlp_schema.proto(),
    }
    return ",\n".join(f"    {name} = {_literal(value)}" for name, value in settings.items())


def _literal(value: str | int) -> str:
    return quote(value) if isinstance(value, str) else str(value)
