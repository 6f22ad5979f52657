-- The spans of a slice, and those around it, for a call and the span that repeats it may lie on both sides of its edge.
INSERT INTO rewrite_otel_traces
SELECT *
FROM otel_traces
WHERE Timestamp BETWEEN fromUnixTimestamp64Nano(${first} - ${context}) AND fromUnixTimestamp64Nano(${last} + ${context}) AND ${tenants}
SETTINGS ${one_block}
