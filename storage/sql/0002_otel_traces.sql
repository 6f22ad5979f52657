-- Spans, in the table and column names of the OpenTelemetry ClickHouse exporter, plus Tenant and
-- ReceivedAt. Another collector may write this table directly; everything downstream hangs on it.
-- Merges can cost as much as inserts. Four things keep both cheap, here and in the tables of calls, steps and logs:
-- A batch becomes a compact part, one file instead of sixty: a quarter less CPU a span.
-- From 131 072 rows on a part is wide. That is where the engine begins to merge column by column, for two thirds of the
-- CPU, which it does for wide parts only.
-- The key ends with the second. Batches overlap by the durations of their spans; within a second the rows of a batch
-- stay together, and a merge copies runs instead of single rows: half of the CPU again.
-- With merge_selector_base 40 more than twenty batches are merged at a time, with the default of 5 about five.
CREATE TABLE otel_traces (
    Timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    ParentSpanId String CODEC(ZSTD(1)),
    TraceState String CODEC(ZSTD(1)),
    SpanName LowCardinality(String) CODEC(ZSTD(1)),
    SpanKind LowCardinality(String) CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration UInt64 CODEC(T64, ZSTD(1)),
    StatusCode LowCardinality(String) CODEC(ZSTD(1)),
    StatusMessage String CODEC(ZSTD(1)),
    Events Nested (
        Timestamp DateTime64(9),
        Name LowCardinality(String),
        Attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    Links Nested (
        TraceId String,
        SpanId String,
        TraceState String,
        Attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    Tenant LowCardinality(String) DEFAULT 'default' CODEC(ZSTD(1)),
    ReceivedAt DateTime64(3) DEFAULT now64(3) CODEC(Delta(8), ZSTD(1)),
    FromHub Bool DEFAULT false COMMENT 'false: written here by another collector',
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_duration Duration TYPE minmax GRANULARITY 1
) ENGINE = MergeTree
PARTITION BY toDate(Timestamp)
ORDER BY (Tenant, ServiceName, SpanName, toDateTime(Timestamp))
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 0, min_rows_for_wide_part = 131072, merge_selector_base = 40, non_replicated_deduplication_window = 10000;

-- Records that could not be stored, with the reason their sender was given in partial_success.
-- request_id first: the collector looks a batch's rejections up by its range of request ids.
CREATE TABLE rejected_records (
    request_id UInt64,
    tenant LowCardinality(String),
    received_at DateTime64(3),
    signal LowCardinality(String),
    reason LowCardinality(String),
    record String CODEC(ZSTD(3))
) ENGINE = MergeTree
PARTITION BY toDate(received_at)
ORDER BY (request_id, reason)
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456, non_replicated_deduplication_window = 10000;

-- One row a span with the reason to refuse it, '' for a good one.
CREATE TABLE otlp_spans (
    request_id UInt64,
    reason LowCardinality(String),
    Timestamp DateTime64(9),
    TraceId String,
    SpanId String,
    ParentSpanId String,
    TraceState String,
    SpanName LowCardinality(String),
    SpanKind LowCardinality(String),
    ServiceName LowCardinality(String),
    ResourceAttributes Map(LowCardinality(String), String),
    ScopeName String,
    ScopeVersion String,
    SpanAttributes Map(LowCardinality(String), String),
    Duration UInt64,
    StatusCode LowCardinality(String),
    StatusMessage String,
    `Events.Timestamp` Array(DateTime64(9)),
    `Events.Name` Array(LowCardinality(String)),
    `Events.Attributes` Array(Map(LowCardinality(String), String)),
    `Links.TraceId` Array(String),
    `Links.SpanId` Array(String),
    `Links.TraceState` Array(String),
    `Links.Attributes` Array(Map(LowCardinality(String), String)),
    Tenant LowCardinality(String),
    ReceivedAt DateTime64(3)
) ENGINE = Null;

-- Sub-columns are picked before anything is unnested: an expression over the whole nested type
-- costs milliseconds of query analysis an insert, one over a leaf next to nothing.
CREATE MATERIALIZED VIEW otlp_spans_mv TO otlp_spans AS
WITH
    leaves AS (
        SELECT
            tenant, received_at, request_id,
            request.resource_spans.resource.attributes AS resource_attributes,
            request.resource_spans.scope_spans.scope.name AS scope_name,
            request.resource_spans.scope_spans.scope.version AS scope_version,
            request.resource_spans.scope_spans.spans.trace_id AS trace_id,
            request.resource_spans.scope_spans.spans.span_id AS span_id,
            request.resource_spans.scope_spans.spans.trace_state AS trace_state,
            request.resource_spans.scope_spans.spans.parent_span_id AS parent_span_id,
            request.resource_spans.scope_spans.spans.name AS name,
            request.resource_spans.scope_spans.spans.kind AS kind,
            request.resource_spans.scope_spans.spans.start_time_unix_nano AS start_ns,
            request.resource_spans.scope_spans.spans.end_time_unix_nano AS end_ns,
            request.resource_spans.scope_spans.spans.attributes.key AS attribute_key,
            ${span_attributes},
            request.resource_spans.scope_spans.spans.events.time_unix_nano AS event_ns,
            request.resource_spans.scope_spans.spans.events.name AS event_name,
            request.resource_spans.scope_spans.spans.events.attributes AS event_attributes,
            request.resource_spans.scope_spans.spans.links.trace_id AS link_trace_id,
            request.resource_spans.scope_spans.spans.links.span_id AS link_span_id,
            request.resource_spans.scope_spans.spans.links.trace_state AS link_trace_state,
            request.resource_spans.scope_spans.spans.links.attributes AS link_attributes,
            request.resource_spans.scope_spans.spans.status.message AS status_message,
            request.resource_spans.scope_spans.spans.status.code AS status_code
        FROM otlp_traces
    ),
    resources AS (
        SELECT * EXCEPT (resource_attributes), ${resource_attributes} AS resource
        FROM leaves
        ARRAY JOIN resource_attributes, scope_name, scope_version, ${span_leaves}
    ),
    scopes AS (
        SELECT *, resource['service.name'] AS service_name
        FROM resources
        ARRAY JOIN scope_name, scope_version, ${span_leaves}
    ),
    -- Here and not below, because an alias is analysed again wherever it is used.
    spans AS (
        SELECT
            *,
            multiIf(
                length(trace_id) != 16 OR trace_id = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0', 'trace_id is not 16 non-zero bytes',
                length(span_id) != 8 OR span_id = '\0\0\0\0\0\0\0\0', 'span_id is not 8 non-zero bytes',
                length(parent_span_id) NOT IN (0, 8), 'parent_span_id is neither empty nor 8 bytes',
                start_ns < ${min_time_unix_nano}, 'start_time_unix_nano is before ${min_time}',
                greatest(start_ns, end_ns) > received_at + ${max_future_nanoseconds}, 'start or end time is more than ${max_future_hours} h in the future',
                '') AS reason
        FROM scopes
        ARRAY JOIN ${span_leaves}
    )
SELECT
    request_id,
    reason,
    fromUnixTimestamp64Nano(toInt64(if(reason = '', start_ns, received_at))) AS Timestamp,
    lower(hex(trace_id)) AS TraceId,
    lower(hex(span_id)) AS SpanId,
    lower(hex(parent_span_id)) AS ParentSpanId,
    trace_state AS TraceState,
    name AS SpanName,
    transform(kind, [1, 2, 3, 4, 5], ['Internal', 'Server', 'Client', 'Producer', 'Consumer'], 'Unspecified') AS SpanKind,
    service_name AS ServiceName,
    resource AS ResourceAttributes,
    scope_name AS ScopeName,
    scope_version AS ScopeVersion,
    ${attributes} AS SpanAttributes,
    -- The clock of a host may step back between start and end: such a span took no time.
    if(end_ns > start_ns, end_ns - start_ns, 0) AS Duration,
    transform(status_code, [1, 2], ['Ok', 'Error'], 'Unset') AS StatusCode,
    status_message AS StatusMessage,
    arrayMap(t -> fromUnixTimestamp64Nano(toInt64(least(t, ${max_time_unix_nano}))), event_ns) AS `Events.Timestamp`,
    event_name AS `Events.Name`,
    arrayMap(e -> ${event_attributes}, event_attributes) AS `Events.Attributes`,
    arrayMap(id -> lower(hex(id)), link_trace_id) AS `Links.TraceId`,
    arrayMap(id -> lower(hex(id)), link_span_id) AS `Links.SpanId`,
    link_trace_state AS `Links.TraceState`,
    arrayMap(e -> ${event_attributes}, link_attributes) AS `Links.Attributes`,
    tenant AS Tenant,
    fromUnixTimestamp64Nano(toInt64(received_at)) AS ReceivedAt
FROM spans;

CREATE MATERIALIZED VIEW dead_spans_mv TO rejected_records AS
SELECT
    request_id, Tenant AS tenant, ReceivedAt AS received_at, 'traces' AS signal, reason,
    toJSONString(map('TraceId', TraceId, 'SpanId', SpanId, 'SpanName', SpanName, 'ServiceName', ServiceName)) AS record
FROM otlp_spans
WHERE reason != '';
