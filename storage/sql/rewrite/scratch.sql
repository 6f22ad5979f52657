-- Tables of a rewrite under way. From spans and log records rows are made by the views of the schema, which are pointed here.
CREATE TABLE ${database}.rewrite_slices (first Int64, last Int64) ENGINE = MergeTree ORDER BY first;

CREATE TABLE ${database}.rewrite_sources (
    is_log Bool,
    tenant LowCardinality(String),
    trace_id String,
    span_id String,
    moment Int64 COMMENT 'of a span when it was received, in milliseconds; of a log record its time, in nanoseconds'
) ENGINE = MergeTree ORDER BY (is_log, tenant, trace_id, span_id);

CREATE TABLE ${database}.rewrite_otel_traces AS ${database}.otel_traces ENGINE = Null;

CREATE TABLE ${database}.rewrite_otlp_log_records AS ${database}.otlp_log_records;

CREATE TABLE ${database}.rewrite_llm_spans AS ${database}.llm_spans;

CREATE TABLE ${database}.rewrite_llm_calls AS ${database}.llm_calls;

CREATE TABLE ${database}.rewrite_llm_steps AS ${database}.llm_steps;

-- What differs, collected slice by slice.
CREATE TABLE ${database}.rewrite_changed_calls AS ${database}.llm_calls;

CREATE TABLE ${database}.rewrite_changed_steps AS ${database}.llm_steps;

-- The same in few parts, which are attached as they are. They must not be merged before: a merge would write down the numbers of
-- the inserts into this table, and later they would be taken for those of the other.
CREATE TABLE ${database}.rewrite_after_calls AS ${database}.llm_calls;

ALTER TABLE ${database}.rewrite_after_calls MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1;

CREATE TABLE ${database}.rewrite_after_steps AS ${database}.llm_steps;

ALTER TABLE ${database}.rewrite_after_steps MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1;

CREATE TABLE ${database}.rewrite_before_calls AS ${database}.llm_calls;

ALTER TABLE ${database}.rewrite_before_calls ADD COLUMN block_number UInt64, ADD COLUMN block_offset UInt64;

CREATE TABLE ${database}.rewrite_before_steps AS ${database}.llm_steps;

ALTER TABLE ${database}.rewrite_before_steps ADD COLUMN block_number UInt64, ADD COLUMN block_offset UInt64;
