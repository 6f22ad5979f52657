-- Calls with what the registry knows about their service. team is the span's own, or the registry's at the time of the call.
CREATE VIEW llm_calls_enriched AS
SELECT
    *,
    total_tokens,
    tokens_per_second,
    dictGet('${database}.llm_service', 'owner', (llm_calls.tenant, llm_calls.service)) AS owner,
    dictGet('${database}.llm_service', 'cost_center', (llm_calls.tenant, llm_calls.service)) AS cost_center,
    dictGet('${database}.llm_service', 'tier', (llm_calls.tenant, llm_calls.service)) AS tier,
    dictGet('${database}.llm_service', 'approved_models', (llm_calls.tenant, llm_calls.service)) AS approved_models,
    -- A glob is a LIKE pattern once * and ? are % and _.
    empty(approved_models) OR arrayExists(
        glob -> lower(llm_calls.request_model) LIKE glob OR lower(llm_calls.model) LIKE glob,
        arrayMap(glob -> translate(replaceRegexpAll(lower(glob), '[\\\\%_]', '\\\\\\0'), '*?', '%_'), approved_models)) AS is_approved
FROM llm_calls;

-- Models that are used and not approved, a row a day.
CREATE VIEW llm_unapproved_models AS
SELECT
    toDate(timestamp) AS day, tenant, service, any(calls.owner) AS owner, provider, model,
    any(calls.approved_models) AS approved_models,
    count() AS calls,
    sum(calls.cost) AS cost,
    max(timestamp) AS last_at,
    argMax(trace_id, timestamp) AS sample_trace_id
FROM llm_calls_enriched AS calls
WHERE NOT is_approved AND model != ''
GROUP BY day, tenant, service, provider, model;
