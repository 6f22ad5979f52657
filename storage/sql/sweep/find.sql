-- Of the calls in the seconds of a slice that new rows fall into, all copies but the first stored.
-- A hash of the key finds the few that matter; the exact comparison and the other columns are for those alone.
INSERT INTO ${database}.llm_call_repeats (
    sweep, block_number, block_offset, timestamp, tenant, service, environment, role, operation, provider, model, error_class, is_error, streaming,
    input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost, duration, trace_id, span_id, received_at)
WITH
    fromUnixTimestamp64Nano(${first}) AS first,
    fromUnixTimestamp64Nano(${last}) AS last,
    touched AS (
        SELECT DISTINCT toStartOfSecond(timestamp)
        FROM ${database}.llm_calls
        WHERE timestamp BETWEEN first AND last
            AND _part IN (
                SELECT name FROM system.parts
                WHERE active AND database = currentDatabase() AND table = 'llm_calls' AND max_block_number > ${since})
            AND _block_number > ${since}
    ),
    candidates AS (
        SELECT min(timestamp)
        FROM ${database}.llm_calls
        WHERE timestamp BETWEEN first AND last AND toStartOfSecond(timestamp) IN touched
        GROUP BY cityHash64(tenant, trace_id, span_id, timestamp)
        HAVING count() > 1
        LIMIT ${batch}
    )
SELECT
    ${sweep}, _block_number, _block_offset, timestamp, tenant, service, environment, role, operation, provider, model, error_class, is_error, streaming,
    input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost, duration, trace_id, span_id, received_at
FROM ${database}.llm_calls
WHERE timestamp BETWEEN first AND last AND timestamp IN candidates
QUALIFY row_number() OVER (PARTITION BY tenant, trace_id, span_id, timestamp ORDER BY _block_number, _block_offset) > 1
SETTINGS max_threads = 1, max_bytes_before_external_group_by = 268435456, max_bytes_before_external_sort = 268435456
