-- The {most} largest of each gap, over all days.
SELECT
    gap, service, provider, model,
    any(llm_gaps.scope) AS scope,
    any(llm_gaps.span_name) AS span_name,
    sum(llm_gaps.calls) AS calls,
    argMax(llm_gaps.sample_trace_id, last_at) AS sample_trace_id,
    argMax(llm_gaps.fix, last_at) AS fix
FROM llm_gaps
WHERE day >= today() - {days:UInt32}
GROUP BY gap, service, provider, model, if(gap = 'unmapped', llm_gaps.span_name, '')
ORDER BY gap, calls DESC
LIMIT {most:UInt32} BY gap
