-- The digest under which a dead letter came in: finds what became of a letter that was sent through the pipeline again.
ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS digest String COMMENT 'hexadecimal, of the request it came with: see ingest_requests.digest';

-- Dead letters that were removed for good. Without them the request ids of the hub would have gaps that look like a loss.
CREATE TABLE purged_letters (
    request_id UInt64,
    tenant LowCardinality(String),
    signal LowCardinality(String),
    received_at DateTime64(3),
    purged_at DateTime64(3) DEFAULT now64(3)
) ENGINE = MergeTree
ORDER BY request_id
TTL toDate(received_at) + INTERVAL 30 DAY
SETTINGS min_bytes_for_wide_part = 268435456, non_replicated_deduplication_window = 10000;
