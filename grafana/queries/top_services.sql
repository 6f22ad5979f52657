SELECT
    service AS "Service",
    sum(calls) AS "Calls",
    sum(errors) / sum(calls) AS "Error rate",
    arrayMap(ms -> ms / 1000, quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(duration_ms))[2] AS "p95",
    uniqMerge(users) AS "Users",
    uniqMerge(sessions) AS "Sessions",
    sum(input_tokens) + sum(output_tokens) AS "Tokens",
    sum(cost) AS "Cost"
FROM llm_calls_1m
WHERE {minutes_in_range} AND {selection}
GROUP BY service
ORDER BY "Cost" DESC, "Calls" DESC, service
LIMIT 20
