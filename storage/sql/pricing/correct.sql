-- Adds what the calls cost to the roll-up. A month is one part, written whole or not at all; where it is, the number of the run
-- is there, too, and the month is left out.
INSERT INTO llm_calls_1m (
    minute, tenant, service, environment, role, operation, provider, model, error_class, cost, unpriced_calls, pricing)
SELECT
    toStartOfMinute(timestamp) AS minute,
    tenant, service, environment, role, operation, provider, model, error_class,
    sum(assumeNotNull(c.cost)),
    -toInt64(count()),
    ${run}
FROM llm_calls AS c
WHERE timestamp IN (SELECT timestamp FROM llm_call_pricings WHERE run = ${run})
    AND (_block_number, _block_offset) IN (SELECT block_number, block_offset FROM llm_call_pricings WHERE run = ${run})
    AND c.cost IS NOT NULL
    AND toYYYYMM(timestamp) NOT IN (
        SELECT toYYYYMM(minute)
        FROM llm_calls_1m
        WHERE pricing = ${run}
            AND minute IN (SELECT toStartOfMinute(timestamp) FROM llm_call_pricings WHERE run = ${run}))
GROUP BY minute, tenant, service, environment, role, operation, provider, model, error_class
SETTINGS max_threads = 1, max_insert_threads = 1, max_block_size = 16777216, min_insert_block_size_rows = 16777216,
    min_insert_block_size_bytes = 0, max_partitions_per_insert_block = 0, insert_deduplicate = 0
