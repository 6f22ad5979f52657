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
    )
SELECT *
FROM llm_calls
WHERE (timestamp, _block_number, _block_offset) NOT IN copies;
