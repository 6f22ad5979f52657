-- Ranges of time that the new rows fall into, each with about {slice} of them.
SELECT
    toUnixTimestamp64Nano(min(second)) AS first,
    toUnixTimestamp64Nano(max(second)) + 999999999 AS last
FROM (
    SELECT toStartOfSecond(timestamp) AS second, sum(count()) OVER (ORDER BY second) AS running
    FROM llm_calls
    WHERE ${part_newest} > {since:UInt64}
        AND _block_number > {since:UInt64} AND _block_number <= {until:UInt64}
    GROUP BY second
)
GROUP BY intDiv(running - 1, {slice:UInt64})
ORDER BY first
