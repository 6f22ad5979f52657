SELECT
    $__timeInterval(minute) AS time,
    greatest(0, sum(input_tokens) - sum(cached_input_tokens) - sum(cache_write_tokens)) / {bucket_minutes} AS "Input, not cached",
    sum(cached_input_tokens) / {bucket_minutes} AS "Input, from cache",
    sum(cache_write_tokens) / {bucket_minutes} AS "Input, written to cache",
    greatest(0, sum(output_tokens) - sum(reasoning_tokens)) / {bucket_minutes} AS "Output, answer",
    sum(reasoning_tokens) / {bucket_minutes} AS "Output, reasoning"
FROM llm_calls_1m
WHERE {minutes_in_buckets} AND {selection}
GROUP BY time
ORDER BY time {every_bucket}
