-- Takes the copies out of the roll-up. A month is one part, written whole or not at all; where it is, the number of
-- the sweep is there, too, and the month is left out. Distinct users and sessions do not change with a copy, sketches keep it.
INSERT INTO ${database}.llm_calls_1m (
    minute, tenant, service, environment, role, operation, provider, model, error_class, calls, errors, streams,
    input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost, unpriced_calls, duration_sum, sweep)
SELECT
    toStartOfMinute(timestamp) AS minute,
    tenant, service, environment, role, operation, provider, model, error_class,
    -toInt64(count()),
    -toInt64(countIf(is_error)),
    -toInt64(countIf(streaming)),
    -toInt64(sum(r.input_tokens)),
    -toInt64(sum(r.cached_input_tokens)),
    -toInt64(sum(r.cache_write_tokens)),
    -toInt64(sum(r.output_tokens)),
    -toInt64(sum(r.reasoning_tokens)),
    -sum(ifNull(r.cost, 0)),
    -toInt64(countIf(r.cost IS NULL)),
    -sum(r.duration),
    ${sweep}
FROM ${database}.llm_call_repeats AS r
WHERE sweep = ${sweep}
    AND toYYYYMM(timestamp) NOT IN (
        SELECT toYYYYMM(minute)
        FROM ${database}.llm_calls_1m
        WHERE sweep = ${sweep}
            AND minute IN (SELECT toStartOfMinute(timestamp) FROM ${database}.llm_call_repeats WHERE sweep = ${sweep}))
GROUP BY minute, tenant, service, environment, role, operation, provider, model, error_class
SETTINGS max_threads = 1, max_insert_threads = 1, max_block_size = 16777216, min_insert_block_size_rows = 16777216,
    min_insert_block_size_bytes = 0, max_partitions_per_insert_block = 0, insert_deduplicate = 0
