SELECT arrayMap(ms -> ms / 1000, quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(duration_ms))[2] AS "p95"
FROM llm_calls_1m
WHERE {minutes_in_range} AND {selection}
HAVING sum(calls) > 0
