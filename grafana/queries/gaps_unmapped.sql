SELECT
    llm_gaps.service AS "Service",
    transform(gap, ['unmapped', 'no_model', 'no_usage'], ['matches no dialect', 'no model', 'no tokens'], gap) AS "What is missing",
    llm_gaps.span_name AS "Span",
    sum(llm_gaps.calls) AS "Spans",
    argMax(llm_gaps.sample_trace_id, last_at) AS "Sample trace",
    argMax(llm_gaps.fix, last_at) AS "What would map it"
FROM llm_gaps
WHERE {days_in_range} AND gap != 'no_price'
    AND tenant IN (${tenant:singlequote})
    AND $__conditionalAll(service IN (${service:singlequote}), $service)
GROUP BY llm_gaps.service, "What is missing", llm_gaps.span_name
ORDER BY "Spans" DESC, "Service", "Span"
LIMIT 20
