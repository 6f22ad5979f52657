SELECT
    $__timeInterval(minute) AS time,
    if(isNaN(quantiles[1]), NULL, quantiles[1]) AS p50,
    if(isNaN(quantiles[2]), NULL, quantiles[2]) AS p95,
    if(isNaN(quantiles[3]), NULL, quantiles[3]) AS p99
FROM llm_calls_1m
WHERE {minutes_in_buckets} AND {selection}
GROUP BY time
ORDER BY time {every_bucket}
