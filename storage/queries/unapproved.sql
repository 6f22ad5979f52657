SELECT service, model, any(llm_unapproved_models.owner) AS owner, any(llm_unapproved_models.approved_models) AS approved_models, sum(llm_unapproved_models.calls) AS calls,
    argMax(llm_unapproved_models.sample_trace_id, last_at) AS sample_trace_id
FROM llm_unapproved_models
WHERE day >= today() - {days:UInt32}
GROUP BY tenant, service, model
ORDER BY calls DESC
LIMIT {most:UInt32}
