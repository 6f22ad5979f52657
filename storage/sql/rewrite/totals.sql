-- What changes, by provider and model; of steps, by role.
INSERT INTO llm_rewrite_totals
SELECT
    ${rewrite}, '${what}', provider, model,
    countIf(NOT after), countIf(after), countIf(after),
    sumIf(ifNull(price, 0), NOT after), sumIf(ifNull(price, 0), after),
    countIf(price IS NULL AND NOT after), countIf(price IS NULL AND after)
FROM (
    SELECT false AS after, ${provider} AS provider, ${model} AS model, ${price} AS price FROM rewrite_before_${what}
    UNION ALL
    SELECT true, ${provider}, ${model}, ${price} FROM rewrite_after_${what}
)
GROUP BY provider, model
SETTINGS ${one_block}
