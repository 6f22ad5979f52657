WITH
    arrayMap(ms -> ms / 1000, quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(duration_ms)) AS latency,
    arrayMap(ms -> ms / 1000, quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(time_to_first_token_ms)) AS first_token
SELECT
    model AS "Model",
    provider AS "Provider",
    sum(calls) AS "Calls",
    sum(errors) / sum(calls) AS "Error rate",
    latency[1] AS "p50",
    latency[2] AS "p95",
    if(isNaN(first_token[2]), NULL, first_token[2]) AS "First token p95",
    sum(input_tokens) + sum(output_tokens) AS "Tokens",
    sum(cost) AS "Cost"
FROM llm_calls_1m
WHERE {minutes_in_range} AND {selection}
GROUP BY model, provider
ORDER BY "Cost" DESC, "Calls" DESC, model
LIMIT 20
