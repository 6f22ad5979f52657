-- Request ids from {first} to below {next} that are nowhere: not stored, not a dead letter, not a purged one, and not in
-- the spool, whose ids are the ranges {spooled}. One row a gap, both ends included.
SELECT previous + 1 AS first, start - 1 AS last, last - first + 1 AS requests
FROM
(
    SELECT start, max(finish) OVER (ORDER BY start ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS previous
    FROM
    (
        SELECT request_id AS start, request_id AS finish FROM ingest_requests
        WHERE request_id >= {first:UInt64} AND request_id < {next:UInt64}
        UNION ALL
        SELECT request_id, request_id FROM dead_letters
        WHERE request_id >= {first:UInt64} AND request_id < {next:UInt64}
        UNION ALL
        SELECT request_id, request_id FROM purged_letters
        WHERE request_id >= {first:UInt64} AND request_id < {next:UInt64}
        UNION ALL
        SELECT between.1, between.2
        FROM (SELECT arrayJoin({spooled:Array(Tuple(UInt64, UInt64))}) AS between)
        UNION ALL
        SELECT {next:UInt64}, {next:UInt64}
    )
)
WHERE previous >= {first:UInt64} AND start > previous + 1
ORDER BY first
LIMIT 1000
