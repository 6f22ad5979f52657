SELECT sum(cost) AS "Cost"
FROM llm_calls_1m
WHERE {minutes_in_range} AND {selection}
