-- Ranges of time with about ${slice} spans and log records each.
INSERT INTO rewrite_slices (first, last)
SELECT toUnixTimestamp64Nano(min(second)), toUnixTimestamp64Nano(max(second)) + 999999999
FROM (
    SELECT second, sum(count()) OVER (ORDER BY second) AS running
    FROM (
        SELECT toStartOfSecond(Timestamp) AS second FROM otel_traces
        WHERE ${within}
        UNION ALL
        SELECT toStartOfSecond(Timestamp) FROM otel_logs
        WHERE ${within}
    )
    GROUP BY second
)
GROUP BY intDiv(running - 1, ${slice})
