SELECT time, series, Value
FROM (
    SELECT
        $__timeInterval(minute) AS time,
        if(error_class = '', 'other', error_class) AS series,
        sum(errors) / {bucket_minutes} AS Value
    FROM llm_calls_1m
    WHERE {minutes_in_buckets} AND {selection} AND errors > 0
    GROUP BY time, series
    ORDER BY series, time {every_bucket}
)
WHERE series != ''
ORDER BY time, series
