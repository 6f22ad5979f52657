-- Log records, as the OpenTelemetry ClickHouse exporter stores them, plus Tenant and ReceivedAt.
CREATE TABLE otel_logs (
    Timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    TimestampTime DateTime DEFAULT toDateTime(Timestamp),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    TraceFlags UInt8,
    SeverityText LowCardinality(String) CODEC(ZSTD(1)),
    SeverityNumber UInt8,
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    Body String CODEC(ZSTD(1)),
    ResourceSchemaUrl LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeSchemaUrl LowCardinality(String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion LowCardinality(String) CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    LogAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    EventName LowCardinality(String) CODEC(ZSTD(1)),
    Tenant LowCardinality(String) DEFAULT 'default' CODEC(ZSTD(1)),
    ReceivedAt DateTime64(3) DEFAULT now64(3) CODEC(Delta(8), ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_body Body TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 8
) ENGINE = MergeTree
PARTITION BY toDate(TimestampTime)
ORDER BY (Tenant, ServiceName, TimestampTime, Timestamp)
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 0, min_rows_for_wide_part = 131072, merge_selector_base = 40, non_replicated_deduplication_window = 10000;

-- One row a log record with the reason to refuse it, '' for a good one.
CREATE TABLE otlp_log_records (
    request_id UInt64,
    reason LowCardinality(String),
    Timestamp DateTime64(9),
    TraceId String,
    SpanId String,
    TraceFlags UInt8,
    SeverityText LowCardinality(String),
    SeverityNumber UInt8,
    ServiceName LowCardinality(String),
    Body String,
    ResourceSchemaUrl LowCardinality(String),
    ResourceAttributes Map(LowCardinality(String), String),
    ScopeSchemaUrl LowCardinality(String),
    ScopeName String,
    ScopeVersion LowCardinality(String),
    ScopeAttributes Map(LowCardinality(String), String),
    LogAttributes Map(LowCardinality(String), String),
    EventName LowCardinality(String),
    Tenant LowCardinality(String),
    ReceivedAt DateTime64(3)
) ENGINE = Null;

CREATE MATERIALIZED VIEW otlp_log_records_mv TO otlp_log_records AS
WITH
    leaves AS (
        SELECT
            tenant, received_at, request_id,
            request.resource_logs.resource.attributes AS resource_attributes,
            request.resource_logs.schema_url AS resource_schema_url,
            request.resource_logs.scope_logs.scope.name AS scope_name,
            request.resource_logs.scope_logs.scope.version AS scope_version,
            request.resource_logs.scope_logs.scope.attributes AS scope_attributes,
            request.resource_logs.scope_logs.schema_url AS scope_schema_url,
            request.resource_logs.scope_logs.log_records.time_unix_nano AS time_ns,
            request.resource_logs.scope_logs.log_records.observed_time_unix_nano AS observed_ns,
            request.resource_logs.scope_logs.log_records.severity_number AS severity_number,
            request.resource_logs.scope_logs.log_records.severity_text AS severity_text,
            ${log_body},
            request.resource_logs.scope_logs.log_records.attributes.key AS attribute_key,
            ${log_attributes},
            request.resource_logs.scope_logs.log_records.flags AS flags,
            request.resource_logs.scope_logs.log_records.trace_id AS trace_id,
            request.resource_logs.scope_logs.log_records.span_id AS span_id,
            request.resource_logs.scope_logs.log_records.event_name AS event_name
        FROM otlp_logs
    ),
    resources AS (
        SELECT * EXCEPT (resource_attributes), ${resource_attributes} AS resource
        FROM leaves
        ARRAY JOIN resource_attributes, resource_schema_url, scope_name, scope_version, scope_attributes, scope_schema_url, ${log_leaves}
    ),
    scopes AS (
        SELECT * EXCEPT (scope_attributes), ${scope_attributes} AS scope_map, resource['service.name'] AS service_name
        FROM resources
        ARRAY JOIN scope_name, scope_version, scope_attributes, scope_schema_url, ${log_leaves}
    ),
    records AS (SELECT * FROM scopes ARRAY JOIN ${log_leaves})
SELECT
    request_id,
    multiIf(
        length(trace_id) NOT IN (0, 16), 'trace_id is neither empty nor 16 bytes',
        length(span_id) NOT IN (0, 8), 'span_id is neither empty nor 8 bytes',
        time_ns != 0 AND time_ns < ${min_time_unix_nano}, 'time_unix_nano is before ${min_time}',
        -- An unset time falls back to the observed one, an unset observed one to the time of receipt.
        greatest(time_ns, observed_ns) > received_at + ${max_future_nanoseconds}, 'time is more than ${max_future_hours} h in the future',
        '') AS reason,
    fromUnixTimestamp64Nano(toInt64(multiIf(
        reason != '', received_at, time_ns != 0, time_ns, observed_ns >= ${min_time_unix_nano}, observed_ns, received_at))) AS Timestamp,
    lower(hex(trace_id)) AS TraceId,
    lower(hex(span_id)) AS SpanId,
    toUInt8(bitAnd(flags, 255)) AS TraceFlags,
    severity_text AS SeverityText,
    toUInt8(severity_number) AS SeverityNumber,
    service_name AS ServiceName,
    ${body} AS Body,
    resource_schema_url AS ResourceSchemaUrl,
    resource AS ResourceAttributes,
    scope_schema_url AS ScopeSchemaUrl,
    scope_name AS ScopeName,
    scope_version AS ScopeVersion,
    scope_map AS ScopeAttributes,
    ${attributes} AS LogAttributes,
    event_name AS EventName,
    tenant AS Tenant,
    fromUnixTimestamp64Nano(toInt64(received_at)) AS ReceivedAt
FROM records;

CREATE MATERIALIZED VIEW dead_log_records_mv TO rejected_records AS
SELECT
    request_id, Tenant AS tenant, ReceivedAt AS received_at, 'logs' AS signal, reason,
    toJSONString(map('TraceId', TraceId, 'SpanId', SpanId, 'EventName', EventName, 'ServiceName', ServiceName)) AS record
FROM otlp_log_records
WHERE reason != '';
