-- What was accepted: one row a request, written with its records in one insert. Request ids of one hub are consecutive,
-- so a gap is a request that was lost, and a pair one that was stored twice: see docs/operations.md.
CREATE TABLE ingest_requests (
    request_id UInt64 CODEC(Delta(8), ZSTD(1)),
    tenant LowCardinality(String),
    signal LowCardinality(String),
    received_at DateTime64(3) CODEC(Delta(8), ZSTD(1)),
    digest FixedString(16) COMMENT 'hash of tenant, signal and body: tells a request that is sent again',
    records UInt64 COMMENT 'spans, log records or data points in it, the rejected ones included'
) ENGINE = MergeTree
PARTITION BY toDate(received_at)
ORDER BY request_id
TTL toDate(received_at) + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456, non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW ingest_traces_mv TO ingest_requests AS
SELECT
    request_id, tenant, 'traces' AS signal, fromUnixTimestamp64Nano(toInt64(received_at)) AS received_at, digest,
    length(arrayFlatten(request.resource_spans.scope_spans.spans.kind)) AS records
FROM otlp_traces;

CREATE MATERIALIZED VIEW ingest_logs_mv TO ingest_requests AS
SELECT
    request_id, tenant, 'logs' AS signal, fromUnixTimestamp64Nano(toInt64(received_at)) AS received_at, digest,
    length(arrayFlatten(request.resource_logs.scope_logs.log_records.time_unix_nano)) AS records
FROM otlp_logs;

CREATE MATERIALIZED VIEW ingest_metrics_mv TO ingest_requests AS
SELECT
    request_id, tenant, 'metrics' AS signal, fromUnixTimestamp64Nano(toInt64(received_at)) AS received_at, digest,
    arraySum(
        m -> length(m.gauge.data_points) + length(m.sum.data_points) + length(m.histogram.data_points)
            + length(m.exponential_histogram.data_points) + length(m.summary.data_points),
        arrayFlatten(request.resource_metrics.scope_metrics.metrics)) AS records
FROM otlp_metrics;

-- Requests and records that could not be stored, whole or in part. The body is sealed: `llmhub dlq show` opens it.
CREATE TABLE dead_letters (
    request_id UInt64,
    tenant LowCardinality(String),
    signal LowCardinality(String),
    received_at DateTime64(3),
    reason String,
    records UInt64 COMMENT 'rejected records; 0 where the request could not be read',
    size UInt64 COMMENT 'bytes of the body before it was sealed',
    replayed Bool COMMENT 'it was sent through the pipeline again',
    body String CODEC(NONE) COMMENT 'Export*ServiceRequest, AES-256-GCM, base64'
) ENGINE = ReplacingMergeTree(replayed)
ORDER BY request_id
TTL toDate(received_at) + INTERVAL 30 DAY
SETTINGS min_bytes_for_wide_part = 268435456, non_replicated_deduplication_window = 10000;

-- What became of the records of a tenant on a day, by when they were received. received = stored + rejected, or the
-- store has lost or doubled something.
CREATE VIEW ingest_ledger AS
SELECT
    day, tenant, signal,
    sum(entries.received) AS received, sum(entries.stored) AS stored, sum(entries.rejected) AS rejected,
    received - stored - rejected AS difference
FROM
(
    SELECT toDate(received_at) AS day, tenant, signal, toInt64(sum(records)) AS received, 0::Int64 AS stored, 0::Int64 AS rejected
    FROM ingest_requests GROUP BY day, tenant, signal
    UNION ALL
    SELECT toDate(received_at), tenant, signal, 0::Int64, 0::Int64, toInt64(count()) FROM rejected_records GROUP BY ALL
    UNION ALL
    SELECT toDate(ReceivedAt), Tenant, 'traces', 0::Int64, toInt64(count()), 0::Int64 FROM otel_traces GROUP BY ALL
    UNION ALL
    SELECT toDate(ReceivedAt), Tenant, 'logs', 0::Int64, toInt64(count()), 0::Int64 FROM otel_logs GROUP BY ALL
    UNION ALL
    SELECT toDate(ReceivedAt), Tenant, 'metrics', 0::Int64, toInt64(count()), 0::Int64 FROM otel_metrics_gauge GROUP BY ALL
    UNION ALL
    SELECT toDate(ReceivedAt), Tenant, 'metrics', 0::Int64, toInt64(count()), 0::Int64 FROM otel_metrics_sum GROUP BY ALL
    UNION ALL
    SELECT toDate(ReceivedAt), Tenant, 'metrics', 0::Int64, toInt64(count()), 0::Int64 FROM otel_metrics_histogram GROUP BY ALL
    UNION ALL
    SELECT toDate(ReceivedAt), Tenant, 'metrics', 0::Int64, toInt64(count()), 0::Int64 FROM otel_metrics_exponential_histogram GROUP BY ALL
    UNION ALL
    SELECT toDate(ReceivedAt), Tenant, 'metrics', 0::Int64, toInt64(count()), 0::Int64 FROM otel_metrics_summary GROUP BY ALL
) AS entries
GROUP BY day, tenant, signal;
