SELECT time, series, Value
FROM (
    SELECT
        $__timeInterval(minute) AS time,
        {busiest_models} AS series,
        toNullable(arrayMap(ms -> ms / 1000, quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(duration_ms))[2]) AS Value
    FROM llm_calls_1m
    WHERE {minutes_in_buckets} AND {selection}
    GROUP BY time, series
    ORDER BY series, time {every_bucket}
)
WHERE series != ''
ORDER BY time, series
