SELECT DISTINCT model
FROM llm_calls_1m
WHERE {minutes_in_range} AND model != ''
    AND tenant IN (${tenant:singlequote})
    AND $__conditionalAll(environment IN (${environment:singlequote}), $environment)
    AND $__conditionalAll(service IN (${service:singlequote}), $service)
    AND $__conditionalAll(provider IN (${provider:singlequote}), $provider)
ORDER BY model
