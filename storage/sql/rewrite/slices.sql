-- Ranges of time with about ${slice} spans and log records each.
INSERT INTO ${database}.rewrite_slices (first, last)
SELECT toUnixTimestamp64Nano(min(second)), toUnixTimestamp64Nano(max(second)) + 999999999
FROM (
    SELECT second, sum(count()) OVER (ORDER BY second) AS running
    FROM (
        SELECT toStartOfSecond(Timestamp) AS second FROM ${database}.otel_traces
        WHERE Timestamp >= fromUnixTimestamp64Nano(${since}) AND Timestamp < fromUnixTimestamp64Nano(${until}) AND ${records}
        UNION ALL
        SELECT toStartOfSecond(Timestamp) FROM ${database}.otel_logs
        WHERE Timestamp >= fromUnixTimestamp64Nano(${since}) AND Timestamp < fromUnixTimestamp64Nano(${until}) AND ${records}
    )
    GROUP BY second
)
GROUP BY intDiv(running - 1, ${slice})
