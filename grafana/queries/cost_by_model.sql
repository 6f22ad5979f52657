SELECT time, series, Value
FROM (
    SELECT
        $__timeInterval(minute) AS time,
        {costliest_models} AS series,
        60 * sum(cost) / {bucket_minutes} AS Value
    FROM llm_calls_1m
    WHERE {minutes_in_buckets} AND {selection}
    GROUP BY time, series
    ORDER BY series, time {every_bucket}
)
WHERE series != ''
ORDER BY time, series
