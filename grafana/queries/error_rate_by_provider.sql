SELECT time, series, Value
FROM (
    SELECT
        $__timeInterval(minute) AS time,
        if(provider = '', 'unknown', provider) AS series,
        toNullable(sum(errors) / sum(calls)) AS Value
    FROM llm_calls_1m
    WHERE {minutes_in_buckets} AND {selection}
    GROUP BY time, series
    ORDER BY series, time {every_bucket}
)
WHERE series != ''
ORDER BY time, series
