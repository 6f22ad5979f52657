SELECT sum(input_tokens) + sum(output_tokens) AS "Tokens"
FROM llm_calls_1m
WHERE {minutes_in_range} AND {selection}
