-- Which spans and log records this slice is about: only rows that come of these are replaced.
INSERT INTO rewrite_sources (is_log, tenant, trace_id, span_id, moment)
SELECT false, Tenant, TraceId, SpanId, toUnixTimestamp64Milli(ReceivedAt)
FROM otel_traces
WHERE Timestamp BETWEEN fromUnixTimestamp64Nano(${first}) AND fromUnixTimestamp64Nano(${last}) AND ${records}
UNION ALL
SELECT true, Tenant, TraceId, SpanId, toUnixTimestamp64Nano(Timestamp)
FROM otel_logs
WHERE Timestamp BETWEEN fromUnixTimestamp64Nano(${first}) AND fromUnixTimestamp64Nano(${last}) AND ${records}
SETTINGS ${one_block}
