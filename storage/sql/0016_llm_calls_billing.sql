-- The calls that finance counts: each once, at any moment. What has been swept (collector/sweep.py) is once in llm_calls
-- itself, so only reports stored since, and those with the same key, are compared here.
CREATE VIEW llm_calls_billing AS
WITH
    unswept AS (
        SELECT cityHash64(tenant, ${call_key})
        FROM llm_calls
        WHERE _block_number > (SELECT max(llm_sweeps.block) FROM llm_sweeps)
    ),
    reports AS (
        SELECT
            timestamp, tenant, preference, _block_number AS block_number, _block_offset AS block_offset,
            timestamp + toIntervalNanosecond(toInt64(1e9 * duration)) AS end,
            ${call_key} AS key
        FROM llm_calls
        WHERE cityHash64(tenant, ${call_key}) IN unswept
    ),
    copies AS (
        ${call_copies}
    ),
    -- A reprice reaches the parts of a month one after the other; here all of its calls change when it is finished.
    unfinished AS (
        SELECT rewrite FROM llm_rewrites WHERE kind = 'reprice' AND rewrite > 0 GROUP BY rewrite HAVING countIf(state = 'finished') = 0
    )
SELECT * REPLACE (if(rewrite IN unfinished, previous_cost, cost) AS cost)
FROM llm_calls
WHERE (timestamp, _block_number, _block_offset) NOT IN copies;
