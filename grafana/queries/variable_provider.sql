SELECT DISTINCT provider
FROM llm_calls_1m
WHERE {minutes_in_range} AND provider != ''
    AND tenant IN (${tenant:singlequote})
    AND $__conditionalAll(environment IN (${environment:singlequote}), $environment)
    AND $__conditionalAll(service IN (${service:singlequote}), $service)
ORDER BY provider
