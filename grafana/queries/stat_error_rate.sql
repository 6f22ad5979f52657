SELECT sum(errors) / sum(calls) AS "Error rate"
FROM llm_calls_1m
WHERE {minutes_in_range} AND {selection}
HAVING sum(calls) > 0
