-- The oldest request id of the last day and of the last {most} that a spool has given out before {next}, and how many
-- since then are stored, and how many of them twice.
WITH {next:UInt64} - least({next:UInt64}, {most:UInt64}) AS lowest,
(
    SELECT min(request_id) FROM ingest_requests
    WHERE request_id >= lowest AND request_id < {next:UInt64} AND received_at > now64(3) - toIntervalDay(1)
) AS oldest
SELECT
    if(count() = 0, {next:UInt64}, oldest) AS first,
    count() AS stored,
    countIf(copies > 1) AS twice
FROM
(
    SELECT request_id, count() AS copies FROM ingest_requests
    WHERE oldest > 0 AND request_id >= oldest AND request_id < {next:UInt64}
    GROUP BY request_id
)
