-- As the view ingest_ledger, for requests received on the last two days and before {before}, when everything had been
-- inserted: accounts of which the store holds more or less than was received. Tables that another collector fills, too,
-- hold more. The views that fill the tables of metrics have names of the same beginning, and would count each point again.
SELECT
    tenant, signal,
    sum(entries.received) AS received, sum(entries.stored) AS stored, sum(entries.rejected) AS rejected,
    received - stored - rejected AS difference
FROM
(
    SELECT tenant, signal, toInt64(sum(records)) AS received, 0::Int64 AS stored, 0::Int64 AS rejected
    FROM ingest_requests WHERE received_at >= today() - 1 AND received_at < fromUnixTimestamp64Milli({before:Int64}) GROUP BY ALL
    UNION ALL
    SELECT tenant, signal, 0::Int64, 0::Int64, toInt64(count())
    FROM rejected_records WHERE received_at >= today() - 1 AND received_at < fromUnixTimestamp64Milli({before:Int64}) GROUP BY ALL
    UNION ALL
    SELECT Tenant, 'traces', 0::Int64, toInt64(count()), 0::Int64
    FROM otel_traces WHERE ReceivedAt >= today() - 1 AND ReceivedAt < fromUnixTimestamp64Milli({before:Int64}) GROUP BY ALL
    UNION ALL
    SELECT Tenant, 'logs', 0::Int64, toInt64(count()), 0::Int64
    FROM otel_logs WHERE ReceivedAt >= today() - 1 AND ReceivedAt < fromUnixTimestamp64Milli({before:Int64}) GROUP BY ALL
    UNION ALL
    SELECT Tenant, 'metrics', 0::Int64, toInt64(count()), 0::Int64
    FROM merge(currentDatabase(), '^otel_metrics_(?:gauge|sum|histogram|exponential_histogram|summary)$') WHERE ReceivedAt >= today() - 1 AND ReceivedAt < fromUnixTimestamp64Milli({before:Int64}) GROUP BY ALL
) AS entries
GROUP BY tenant, signal
HAVING difference != 0 AND received > 0
ORDER BY tenant, signal
