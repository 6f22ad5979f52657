-- Rewriting of stored calls (collector/rewrite): costs computed again with other prices, rows built again with other aliases.
-- A row of llm_calls and llm_steps is known by the insert that brought it and its place in that insert, through all merges.
ALTER TABLE llm_calls ADD COLUMN IF NOT EXISTS rewrite UInt64 COMMENT 'of llm_rewrites, the last one that changed the row; 0: none' AFTER received_at;

ALTER TABLE llm_calls ADD COLUMN IF NOT EXISTS previous_cost Nullable(Float64) COMMENT 'cost before the last reprice that changed it' CODEC(ZSTD(1)) AFTER rewrite;

ALTER TABLE llm_steps ADD COLUMN IF NOT EXISTS rewrite UInt64 COMMENT 'of llm_rewrites, the one that made the row; 0: none' AFTER received_at;

ALTER TABLE llm_steps MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1;

-- The rewrite whose correction a row holds. Written in one insert with the correction, it tells whether that was made.
ALTER TABLE llm_calls_1m ADD COLUMN IF NOT EXISTS rewrite SimpleAggregateFunction(max, UInt64) AFTER last_received_at;

-- What was done to which part of a range, a row a state: prepared (from here on it is carried through), finished. The last row
-- of a run has rewrite 0 and state complete.
CREATE TABLE llm_rewrites (
    run UInt64 COMMENT 'one command, over its whole range',
    rewrite UInt64 COMMENT 'one part of the range, changed at once',
    kind LowCardinality(String) COMMENT 'reprice or renormalise',
    state LowCardinality(String) COMMENT 'prepared, finished or complete',
    run_since DateTime('UTC'),
    run_until DateTime('UTC'),
    tenant String COMMENT 'empty: all',
    service String COMMENT 'empty: all',
    since DateTime('UTC') COMMENT 'of this part, inclusive',
    until DateTime('UTC') COMMENT 'exclusive',
    recorded_at DateTime64(3) DEFAULT now64(3)
) ENGINE = MergeTree
ORDER BY (run, rewrite);

-- What changed, before and after, as the report of the command shows it.
CREATE TABLE llm_rewrite_totals (
    rewrite UInt64,
    what LowCardinality(String) COMMENT 'calls or steps',
    provider LowCardinality(String),
    model LowCardinality(String) COMMENT 'of a step: its role',
    rows_before UInt64,
    rows_after UInt64,
    rows_changed UInt64,
    cost_before Float64 COMMENT 'USD',
    cost_after Float64,
    unpriced_before UInt64 COMMENT 'calls whose cost is NULL',
    unpriced_after UInt64
) ENGINE = MergeTree
ORDER BY (rewrite, what, provider, model);
