SELECT DISTINCT service
FROM llm_calls_1m
WHERE {minutes_in_range} AND service != ''
    AND tenant IN (${tenant:singlequote})
    AND $__conditionalAll(environment IN (${environment:singlequote}), $environment)
ORDER BY service
