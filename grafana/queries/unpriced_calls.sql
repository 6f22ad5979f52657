SELECT
    model AS "Model",
    provider AS "Provider",
    sum(unpriced_calls) AS "Unpriced calls",
    sum(unpriced_calls) / sum(calls) AS "Share of its calls"
FROM llm_calls_1m
WHERE {minutes_in_range} AND {selection}
GROUP BY model, provider
HAVING sum(unpriced_calls) > 0
ORDER BY "Unpriced calls" DESC, model
LIMIT 20
