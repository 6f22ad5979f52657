-- What changes, by provider and model; of steps, by role.
INSERT INTO llm_rewrite_totals
SELECT
    ${rewrite}, '${what}', provider, model,
    countIf(NOT after), countIf(after), countIf(after),
    sumIf(ifNull(usd, 0), NOT after), sumIf(ifNull(usd, 0), after),
    countIf(usd IS NULL AND NOT after), countIf(usd IS NULL AND after)
FROM (
    SELECT false AS after, ${provider} AS provider, ${model} AS model, ${usd} AS usd FROM rewrite_before_${what}
    UNION ALL
    SELECT true, ${provider}, ${model}, ${usd} FROM rewrite_after_${what}
)
GROUP BY provider, model
SETTINGS ${one_block}
