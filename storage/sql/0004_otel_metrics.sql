-- Metric points, one table a kind, as the OpenTelemetry ClickHouse exporter stores them.
CREATE TABLE otel_metrics_gauge (
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    Value Float64 CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    Exemplars Nested (
        FilteredAttributes Map(LowCardinality(String), String),
        TimeUnix DateTime64(9),
        Value Float64,
        SpanId String,
        TraceId String
    ) CODEC(ZSTD(1)),
    Tenant LowCardinality(String) DEFAULT 'default' CODEC(ZSTD(1)),
    ReceivedAt DateTime64(3) DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
) ENGINE = MergeTree
PARTITION BY toDate(TimeUnix)
ORDER BY (Tenant, ServiceName, MetricName, cityHash64(Attributes), TimeUnix)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

CREATE TABLE otel_metrics_sum (
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    Value Float64 CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    Exemplars Nested (
        FilteredAttributes Map(LowCardinality(String), String),
        TimeUnix DateTime64(9),
        Value Float64,
        SpanId String,
        TraceId String
    ) CODEC(ZSTD(1)),
    AggregationTemporality Int32 CODEC(ZSTD(1)),
    IsMonotonic Bool CODEC(Delta, ZSTD(1)),
    Tenant LowCardinality(String) DEFAULT 'default' CODEC(ZSTD(1)),
    ReceivedAt DateTime64(3) DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
) ENGINE = MergeTree
PARTITION BY toDate(TimeUnix)
ORDER BY (Tenant, ServiceName, MetricName, cityHash64(Attributes), TimeUnix)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

CREATE TABLE otel_metrics_histogram (
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    Count UInt64 CODEC(Delta, ZSTD(1)),
    Sum Float64 CODEC(ZSTD(1)),
    BucketCounts Array(UInt64) CODEC(ZSTD(1)),
    ExplicitBounds Array(Float64) CODEC(ZSTD(1)),
    Exemplars Nested (
        FilteredAttributes Map(LowCardinality(String), String),
        TimeUnix DateTime64(9),
        Value Float64,
        SpanId String,
        TraceId String
    ) CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    Min Float64 CODEC(ZSTD(1)),
    Max Float64 CODEC(ZSTD(1)),
    AggregationTemporality Int32 CODEC(ZSTD(1)),
    Tenant LowCardinality(String) DEFAULT 'default' CODEC(ZSTD(1)),
    ReceivedAt DateTime64(3) DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
) ENGINE = MergeTree
PARTITION BY toDate(TimeUnix)
ORDER BY (Tenant, ServiceName, MetricName, cityHash64(Attributes), TimeUnix)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

CREATE TABLE otel_metrics_exponential_histogram (
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    Count UInt64 CODEC(Delta, ZSTD(1)),
    Sum Float64 CODEC(ZSTD(1)),
    Scale Int32 CODEC(ZSTD(1)),
    ZeroCount UInt64 CODEC(ZSTD(1)),
    PositiveOffset Int32 CODEC(ZSTD(1)),
    PositiveBucketCounts Array(UInt64) CODEC(ZSTD(1)),
    NegativeOffset Int32 CODEC(ZSTD(1)),
    NegativeBucketCounts Array(UInt64) CODEC(ZSTD(1)),
    Exemplars Nested (
        FilteredAttributes Map(LowCardinality(String), String),
        TimeUnix DateTime64(9),
        Value Float64,
        SpanId String,
        TraceId String
    ) CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    Min Float64 CODEC(ZSTD(1)),
    Max Float64 CODEC(ZSTD(1)),
    AggregationTemporality Int32 CODEC(ZSTD(1)),
    Tenant LowCardinality(String) DEFAULT 'default' CODEC(ZSTD(1)),
    ReceivedAt DateTime64(3) DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
) ENGINE = MergeTree
PARTITION BY toDate(TimeUnix)
ORDER BY (Tenant, ServiceName, MetricName, cityHash64(Attributes), TimeUnix)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

CREATE TABLE otel_metrics_summary (
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    Count UInt64 CODEC(Delta, ZSTD(1)),
    Sum Float64 CODEC(ZSTD(1)),
    ValueAtQuantiles Nested (
        Quantile Float64,
        Value Float64
    ) CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    Tenant LowCardinality(String) DEFAULT 'default' CODEC(ZSTD(1)),
    ReceivedAt DateTime64(3) DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
) ENGINE = MergeTree
PARTITION BY toDate(TimeUnix)
ORDER BY (Tenant, ServiceName, MetricName, cityHash64(Attributes), TimeUnix)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

-- One row a metric, its points still in arrays.
CREATE TABLE otlp_metric_rows (
    request_id UInt64,
    received_ns UInt64,
    ResourceAttributes Map(LowCardinality(String), String),
    ResourceSchemaUrl String,
    ScopeName String,
    ScopeVersion String,
    ScopeAttributes Map(LowCardinality(String), String),
    ScopeDroppedAttrCount UInt32,
    ScopeSchemaUrl String,
    ServiceName LowCardinality(String),
    MetricName LowCardinality(String),
    MetricDescription String,
    MetricUnit String,
    Tenant LowCardinality(String),
    ReceivedAt DateTime64(3),
    metric Tuple(${metric_fields})
) ENGINE = Null;

CREATE MATERIALIZED VIEW otlp_metric_rows_mv TO otlp_metric_rows AS
WITH
    leaves AS (
        SELECT
            tenant, received_at, request_id,
            request.resource_metrics.resource.attributes AS resource_attributes,
            request.resource_metrics.schema_url AS resource_schema_url,
            request.resource_metrics.scope_metrics.scope.name AS scope_name,
            request.resource_metrics.scope_metrics.scope.version AS scope_version,
            request.resource_metrics.scope_metrics.scope.attributes AS scope_attributes,
            request.resource_metrics.scope_metrics.scope.dropped_attributes_count AS scope_dropped,
            request.resource_metrics.scope_metrics.schema_url AS scope_schema_url,
            request.resource_metrics.scope_metrics.metrics AS metrics
        FROM otlp_metrics
    ),
    resources AS (
        SELECT * EXCEPT (resource_attributes), ${resource_attributes} AS resource
        FROM leaves
        ARRAY JOIN resource_attributes, resource_schema_url, scope_name, scope_version, scope_attributes, scope_dropped, scope_schema_url, metrics
    ),
    scopes AS (
        SELECT * EXCEPT (scope_attributes), ${scope_attributes} AS scope_map, resource['service.name'] AS service_name
        FROM resources
        ARRAY JOIN scope_name, scope_version, scope_attributes, scope_dropped, scope_schema_url, metrics
    ),
    rows AS (SELECT * FROM scopes ARRAY JOIN metrics)
SELECT
    request_id, received_at AS received_ns,
    resource AS ResourceAttributes, resource_schema_url AS ResourceSchemaUrl,
    scope_name AS ScopeName, scope_version AS ScopeVersion, scope_map AS ScopeAttributes,
    scope_dropped AS ScopeDroppedAttrCount, scope_schema_url AS ScopeSchemaUrl,
    service_name AS ServiceName, metrics.name AS MetricName, metrics.description AS MetricDescription, metrics.unit AS MetricUnit,
    tenant AS Tenant, fromUnixTimestamp64Nano(toInt64(received_at)) AS ReceivedAt,
    metrics AS metric
FROM rows;

CREATE MATERIALIZED VIEW otel_metrics_gauge_mv TO otel_metrics_gauge AS
SELECT
    ResourceAttributes, ResourceSchemaUrl, ScopeName, ScopeVersion, ScopeAttributes, ScopeDroppedAttrCount, ScopeSchemaUrl,
    ServiceName, MetricName, MetricDescription, MetricUnit,
    ${point_attributes} AS Attributes,
    fromUnixTimestamp64Nano(toInt64(if(point.start_time_unix_nano > ${max_time_unix_nano}, 0, point.start_time_unix_nano))) AS StartTimeUnix,
    fromUnixTimestamp64Nano(toInt64(point.time_unix_nano)) AS TimeUnix,
    ifNull(point.as_double, toFloat64(ifNull(point.as_int, 0))) AS Value,
    arrayMap(e -> ${event_attributes}, point.exemplars.filtered_attributes) AS `Exemplars.FilteredAttributes`,
    arrayMap(t -> fromUnixTimestamp64Nano(toInt64(least(t, ${max_time_unix_nano}))), point.exemplars.time_unix_nano) AS `Exemplars.TimeUnix`,
    arrayMap((d, i) -> if(d != 0, d, toFloat64(i)), point.exemplars.as_double, point.exemplars.as_int) AS `Exemplars.Value`,
    arrayMap(id -> lower(hex(id)), point.exemplars.span_id) AS `Exemplars.SpanId`,
    arrayMap(id -> lower(hex(id)), point.exemplars.trace_id) AS `Exemplars.TraceId`,
    point.flags AS Flags, Tenant, ReceivedAt
FROM otlp_metric_rows
ARRAY JOIN arrayFilter(p -> ${point_in_time}, metric.gauge.data_points) AS point;

CREATE MATERIALIZED VIEW otel_metrics_sum_mv TO otel_metrics_sum AS
SELECT
    ResourceAttributes, ResourceSchemaUrl, ScopeName, ScopeVersion, ScopeAttributes, ScopeDroppedAttrCount, ScopeSchemaUrl,
    ServiceName, MetricName, MetricDescription, MetricUnit,
    ${point_attributes} AS Attributes,
    fromUnixTimestamp64Nano(toInt64(if(point.start_time_unix_nano > ${max_time_unix_nano}, 0, point.start_time_unix_nano))) AS StartTimeUnix,
    fromUnixTimestamp64Nano(toInt64(point.time_unix_nano)) AS TimeUnix,
    ifNull(point.as_double, toFloat64(ifNull(point.as_int, 0))) AS Value,
    arrayMap(e -> ${event_attributes}, point.exemplars.filtered_attributes) AS `Exemplars.FilteredAttributes`,
    arrayMap(t -> fromUnixTimestamp64Nano(toInt64(least(t, ${max_time_unix_nano}))), point.exemplars.time_unix_nano) AS `Exemplars.TimeUnix`,
    arrayMap((d, i) -> if(d != 0, d, toFloat64(i)), point.exemplars.as_double, point.exemplars.as_int) AS `Exemplars.Value`,
    arrayMap(id -> lower(hex(id)), point.exemplars.span_id) AS `Exemplars.SpanId`,
    arrayMap(id -> lower(hex(id)), point.exemplars.trace_id) AS `Exemplars.TraceId`,
    metric.sum.aggregation_temporality AS AggregationTemporality, metric.sum.is_monotonic AS IsMonotonic,
    point.flags AS Flags, Tenant, ReceivedAt
FROM otlp_metric_rows
ARRAY JOIN arrayFilter(p -> ${point_in_time}, metric.sum.data_points) AS point;

CREATE MATERIALIZED VIEW otel_metrics_histogram_mv TO otel_metrics_histogram AS
SELECT
    ResourceAttributes, ResourceSchemaUrl, ScopeName, ScopeVersion, ScopeAttributes, ScopeDroppedAttrCount, ScopeSchemaUrl,
    ServiceName, MetricName, MetricDescription, MetricUnit,
    ${point_attributes} AS Attributes,
    fromUnixTimestamp64Nano(toInt64(if(point.start_time_unix_nano > ${max_time_unix_nano}, 0, point.start_time_unix_nano))) AS StartTimeUnix,
    fromUnixTimestamp64Nano(toInt64(point.time_unix_nano)) AS TimeUnix,
    point.count AS Count, point.sum AS Sum,
    point.min AS Min, point.max AS Max,
    point.bucket_counts AS BucketCounts, point.explicit_bounds AS ExplicitBounds,
    arrayMap(e -> ${event_attributes}, point.exemplars.filtered_attributes) AS `Exemplars.FilteredAttributes`,
    arrayMap(t -> fromUnixTimestamp64Nano(toInt64(least(t, ${max_time_unix_nano}))), point.exemplars.time_unix_nano) AS `Exemplars.TimeUnix`,
    arrayMap((d, i) -> if(d != 0, d, toFloat64(i)), point.exemplars.as_double, point.exemplars.as_int) AS `Exemplars.Value`,
    arrayMap(id -> lower(hex(id)), point.exemplars.span_id) AS `Exemplars.SpanId`,
    arrayMap(id -> lower(hex(id)), point.exemplars.trace_id) AS `Exemplars.TraceId`,
    metric.histogram.aggregation_temporality AS AggregationTemporality,
    point.flags AS Flags, Tenant, ReceivedAt
FROM otlp_metric_rows
ARRAY JOIN arrayFilter(p -> ${point_in_time}, metric.histogram.data_points) AS point;

CREATE MATERIALIZED VIEW otel_metrics_exponential_histogram_mv TO otel_metrics_exponential_histogram AS
SELECT
    ResourceAttributes, ResourceSchemaUrl, ScopeName, ScopeVersion, ScopeAttributes, ScopeDroppedAttrCount, ScopeSchemaUrl,
    ServiceName, MetricName, MetricDescription, MetricUnit,
    ${point_attributes} AS Attributes,
    fromUnixTimestamp64Nano(toInt64(if(point.start_time_unix_nano > ${max_time_unix_nano}, 0, point.start_time_unix_nano))) AS StartTimeUnix,
    fromUnixTimestamp64Nano(toInt64(point.time_unix_nano)) AS TimeUnix,
    point.count AS Count, point.sum AS Sum,
    point.min AS Min, point.max AS Max,
    point.scale AS Scale, point.zero_count AS ZeroCount,
    point.positive.offset AS PositiveOffset, point.positive.bucket_counts AS PositiveBucketCounts,
    point.negative.offset AS NegativeOffset, point.negative.bucket_counts AS NegativeBucketCounts,
    arrayMap(e -> ${event_attributes}, point.exemplars.filtered_attributes) AS `Exemplars.FilteredAttributes`,
    arrayMap(t -> fromUnixTimestamp64Nano(toInt64(least(t, ${max_time_unix_nano}))), point.exemplars.time_unix_nano) AS `Exemplars.TimeUnix`,
    arrayMap((d, i) -> if(d != 0, d, toFloat64(i)), point.exemplars.as_double, point.exemplars.as_int) AS `Exemplars.Value`,
    arrayMap(id -> lower(hex(id)), point.exemplars.span_id) AS `Exemplars.SpanId`,
    arrayMap(id -> lower(hex(id)), point.exemplars.trace_id) AS `Exemplars.TraceId`,
    metric.exponential_histogram.aggregation_temporality AS AggregationTemporality,
    point.flags AS Flags, Tenant, ReceivedAt
FROM otlp_metric_rows
ARRAY JOIN arrayFilter(p -> ${point_in_time}, metric.exponential_histogram.data_points) AS point;

CREATE MATERIALIZED VIEW otel_metrics_summary_mv TO otel_metrics_summary AS
SELECT
    ResourceAttributes, ResourceSchemaUrl, ScopeName, ScopeVersion, ScopeAttributes, ScopeDroppedAttrCount, ScopeSchemaUrl,
    ServiceName, MetricName, MetricDescription, MetricUnit,
    ${point_attributes} AS Attributes,
    fromUnixTimestamp64Nano(toInt64(if(point.start_time_unix_nano > ${max_time_unix_nano}, 0, point.start_time_unix_nano))) AS StartTimeUnix,
    fromUnixTimestamp64Nano(toInt64(point.time_unix_nano)) AS TimeUnix,
    point.count AS Count, point.sum AS Sum,
    point.quantile_values.quantile AS `ValueAtQuantiles.Quantile`, point.quantile_values.value AS `ValueAtQuantiles.Value`,
    point.flags AS Flags, Tenant, ReceivedAt
FROM otlp_metric_rows
ARRAY JOIN arrayFilter(p -> ${point_in_time}, metric.summary.data_points) AS point;

CREATE MATERIALIZED VIEW dead_metric_points_mv TO rejected_records AS
SELECT
    request_id, Tenant AS tenant, ReceivedAt AS received_at, 'metrics' AS signal,
    if(time_ns < ${min_time_unix_nano}, 'time_unix_nano is before ${min_time}', 'time_unix_nano is more than ${max_future_hours} h in the future') AS reason,
    toJSONString(map('MetricName', toString(MetricName), 'ServiceName', toString(ServiceName), 'time_unix_nano', toString(time_ns))) AS record
FROM otlp_metric_rows
ARRAY JOIN arrayFilter(t -> NOT ${time_in_range}, arrayConcat(
    metric.gauge.data_points.time_unix_nano, metric.sum.data_points.time_unix_nano, metric.histogram.data_points.time_unix_nano,
    metric.exponential_histogram.data_points.time_unix_nano, metric.summary.data_points.time_unix_nano)) AS time_ns;
