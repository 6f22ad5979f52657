-- Copies of a call that came again, taken out of llm_calls by the sweep (collector/sweep.py), and what it has done.
-- A row of llm_calls is known by the insert that brought it and its place in that insert, through all merges.
ALTER TABLE llm_calls MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1;

-- The sweep whose correction a row holds. Written in one insert with the correction, it tells whether that was made.
ALTER TABLE llm_calls_1m ADD COLUMN IF NOT EXISTS sweep SimpleAggregateFunction(max, UInt64) AFTER last_received_at;

-- Not the whole call: who it is, and what it added to llm_calls_1m.
CREATE TABLE llm_call_repeats (
    sweep UInt64,
    swept_at DateTime DEFAULT now(),
    block_number UInt64 CODEC(Delta, ZSTD(1)),
    block_offset UInt64 CODEC(Delta, ZSTD(1)),
    timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    tenant LowCardinality(String),
    service LowCardinality(String),
    environment LowCardinality(String),
    role LowCardinality(String),
    operation LowCardinality(String),
    provider LowCardinality(String),
    model LowCardinality(String),
    error_class LowCardinality(String),
    is_error Bool,
    streaming Bool,
    input_tokens UInt64 CODEC(T64, ZSTD(1)),
    cached_input_tokens UInt64 CODEC(T64, ZSTD(1)),
    cache_write_tokens UInt64 CODEC(T64, ZSTD(1)),
    output_tokens UInt64 CODEC(T64, ZSTD(1)),
    reasoning_tokens UInt64 CODEC(T64, ZSTD(1)),
    cost Nullable(Float64) CODEC(ZSTD(1)),
    duration Float64 CODEC(ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    received_at DateTime64(3) CODEC(Delta(8), ZSTD(1))
) ENGINE = MergeTree
PARTITION BY toYYYYMM(swept_at)
ORDER BY sweep
SETTINGS ttl_only_drop_parts = 1;

-- One row a finished sweep. block: everything up to this insert into llm_calls has been looked at.
CREATE TABLE llm_sweeps (
    sweep UInt64,
    block UInt64,
    repeats UInt64,
    finished_at DateTime DEFAULT now()
) ENGINE = MergeTree
ORDER BY sweep;

-- Calls that came in before their model had a price and were priced later (collector/pricing.py), as the sweep does it:
-- which calls, and the run whose correction a row of the roll-up holds.
ALTER TABLE llm_calls_1m ADD COLUMN IF NOT EXISTS pricing SimpleAggregateFunction(max, UInt64) AFTER sweep;

CREATE TABLE llm_call_pricings (
    run UInt64,
    noted_at DateTime DEFAULT now(),
    block_number UInt64 CODEC(Delta, ZSTD(1)),
    block_offset UInt64 CODEC(Delta, ZSTD(1)),
    timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1))
) ENGINE = MergeTree
PARTITION BY toYYYYMM(noted_at)
ORDER BY run
TTL noted_at + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 1;

-- One row a finished run. prices: the state of all prices that it saw; block: as in llm_sweeps.
CREATE TABLE llm_pricings (
    run UInt64,
    block UInt64,
    prices String,
    calls UInt64,
    finished_at DateTime DEFAULT now()
) ENGINE = MergeTree
ORDER BY run;
