-- Spans and log records that look like LLM work and match no dialect, counted. They are in otel_traces and otel_logs, too.
CREATE TABLE llm_unmapped (
    day Date,
    tenant LowCardinality(String),
    service LowCardinality(String),
    source LowCardinality(String) COMMENT 'span or log',
    scope LowCardinality(String),
    span_name LowCardinality(String) COMMENT 'numbers and ids replaced by *',
    operation String COMMENT 'what the span calls its operation, if no row of llm_operations knows it',
    spans SimpleAggregateFunction(sum, UInt64),
    last_at SimpleAggregateFunction(max, DateTime),
    sample_trace_id SimpleAggregateFunction(anyLast, String),
    sample_keys SimpleAggregateFunction(anyLast, Array(String)) COMMENT 'attribute keys of one of them that no alias maps'
) ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (tenant, day, service, source, scope, span_name, operation)
TTL day + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456, non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW llm_unmapped_mv TO llm_unmapped AS
SELECT
    toDate(timestamp) AS day, tenant, service, source, scope,
    substring(replaceRegexpAll(llm_spans.span_name, '(?:0x)?[0-9a-fA-F-]*[0-9][0-9a-fA-F-]*', '*'), 1, 200) AS span_name,
    substring(arrayFirst(value -> value != '', [slots['vercel_operation'], slots['operation'], slots['openinference_kind'], slots['langfuse_type'],
        slots['request_type'], slots['traceloop_kind'], slots['span_type']]), 1, 200) AS operation,
    count() AS spans,
    max(toDateTime(timestamp)) AS last_at,
    anyLast(trace_id) AS sample_trace_id,
    anyLast(arraySlice(arrayFilter(key -> NOT dictHas('${database}.llm_alias', key), mapKeys(attributes)), 1, 50)) AS sample_keys
FROM llm_spans
WHERE role = 'unmapped'
GROUP BY day, tenant, service, source, scope, span_name, operation;
