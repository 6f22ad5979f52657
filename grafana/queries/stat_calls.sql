SELECT sum(calls) AS "Calls"
FROM llm_calls_1m
WHERE {minutes_in_range} AND {selection}
