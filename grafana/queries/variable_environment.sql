SELECT DISTINCT environment
FROM llm_calls_1m
WHERE {minutes_in_range} AND environment != ''
    AND tenant IN (${tenant:singlequote})
ORDER BY environment
