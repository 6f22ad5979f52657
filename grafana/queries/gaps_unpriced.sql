SELECT
    llm_gaps.model AS "Model",
    llm_gaps.provider AS "Provider",
    llm_gaps.service AS "Service",
    sum(llm_gaps.tokens) AS "Tokens",
    sum(llm_gaps.calls) AS "Calls",
    argMax(llm_gaps.sample_trace_id, last_at) AS "Sample trace",
    argMax(llm_gaps.fix, last_at) AS "What sets a price"
FROM llm_gaps
WHERE {days_in_range} AND gap = 'no_price'
    AND tenant IN (${tenant:singlequote})
    AND $__conditionalAll(service IN (${service:singlequote}), $service)
    AND $__conditionalAll(provider IN (${provider:singlequote}), $provider)
    AND $__conditionalAll(model IN (${model:singlequote}), $model)
GROUP BY llm_gaps.model, llm_gaps.provider, llm_gaps.service
ORDER BY "Tokens" DESC, "Model", "Service"
LIMIT 20
