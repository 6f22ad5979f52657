SELECT time, series, Value
FROM (
    SELECT
        $__timeInterval(minute) AS time,
        {busiest_models} AS series,
        sum(calls) / {bucket_minutes} AS Value
    FROM llm_calls_1m
    WHERE {minutes_in_buckets} AND {selection}
    GROUP BY time, series
    ORDER BY series, time {every_bucket}
)
WHERE series != ''
ORDER BY time, series
