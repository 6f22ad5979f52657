-- All calls of the part, by provider and model, before and after.
INSERT INTO llm_rewrite_totals
SELECT
    ${rewrite}, 'calls', provider, model, count(), count(), countIf(is_changed),
    sum(ifNull(old, 0)), sum(ifNull(new, 0)), countIf(old IS NULL), countIf(new IS NULL)
FROM (SELECT provider, model, ${before} AS old, ${after} AS new, ${changed} AS is_changed FROM llm_calls WHERE ${calls})
GROUP BY provider, model
SETTINGS ${one_block}
