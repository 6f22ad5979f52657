-- Of the calls that begin in the seconds of a slice that new rows fall into, and ${window} s around them, all reports of a call but the best.
-- A hash of the key finds the few that matter; the exact comparison and the other columns are for those alone.
INSERT INTO ${database}.llm_call_repeats (
    sweep, block_number, block_offset, timestamp, tenant, service, environment, role, operation, provider, model, error_class, is_error, streaming,
    input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost, duration, trace_id, span_id, received_at)
WITH
    fromUnixTimestamp64Nano(${first}) - toIntervalSecond(${window}) AS first,
    fromUnixTimestamp64Nano(${last}) + toIntervalSecond(${window}) AS last,
    touched AS (
        SELECT DISTINCT toStartOfSecond(timestamp) + toIntervalSecond(arrayJoin(range(-${window}, ${window} + 1)))
        FROM ${database}.llm_calls
        WHERE timestamp BETWEEN fromUnixTimestamp64Nano(${first}) AND fromUnixTimestamp64Nano(${last})
            AND ${part_newest} > ${since}
            AND _block_number > ${since}
    ),
    candidates AS (
        SELECT cityHash64(tenant, ${call_key})
        FROM ${database}.llm_calls
        WHERE timestamp BETWEEN first AND last AND toStartOfSecond(timestamp) IN touched
        GROUP BY 1
        HAVING count() > 1
    ),
    reports AS (
        SELECT
            timestamp, tenant, preference, _block_number AS block_number, _block_offset AS block_offset,
            timestamp + toIntervalNanosecond(toInt64(1e9 * duration)) AS end,
            ${call_key} AS key
        FROM ${database}.llm_calls
        WHERE timestamp BETWEEN first AND last AND cityHash64(tenant, ${call_key}) IN candidates
            -- Windows overlap: what an earlier slice has noted is known.
            AND (_block_number, _block_offset) NOT IN (SELECT block_number, block_offset FROM ${database}.llm_call_repeats WHERE sweep = ${sweep})
    ),
    copies AS (
        ${call_copies}
        LIMIT ${batch}
    )
SELECT
    ${sweep}, _block_number, _block_offset, timestamp, tenant, service, environment, role, operation, provider, model, error_class, is_error, streaming,
    input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost, duration, trace_id, span_id, received_at
FROM ${database}.llm_calls
WHERE timestamp BETWEEN first AND last AND (timestamp, _block_number, _block_offset) IN copies
SETTINGS max_threads = 1, max_bytes_before_external_group_by = 268435456, max_bytes_before_external_sort = 268435456
