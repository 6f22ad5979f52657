-- Tables of a rewrite under way. From spans and log records rows are made by the views of the schema, which are pointed here.
CREATE TABLE rewrite_slices (first Int64, last Int64) ENGINE = MergeTree ORDER BY first;

CREATE TABLE rewrite_sources (
    is_log Bool,
    tenant LowCardinality(String),
    trace_id String,
    span_id String,
    moment Int64 COMMENT 'of a span when it was received, in milliseconds; of a log record its time, in nanoseconds'
) ENGINE = MergeTree ORDER BY (is_log, tenant, trace_id, span_id);

CREATE TABLE rewrite_otel_traces AS otel_traces ENGINE = Null;

CREATE TABLE rewrite_otlp_log_records AS otlp_log_records;

CREATE TABLE rewrite_llm_spans AS llm_spans;

CREATE TABLE rewrite_llm_step_spans AS llm_step_spans;

CREATE TABLE rewrite_llm_calls AS llm_calls;

CREATE TABLE rewrite_llm_steps AS llm_steps;

-- What differs, collected slice by slice.
CREATE TABLE rewrite_changed_calls AS llm_calls;

CREATE TABLE rewrite_changed_steps AS llm_steps;

-- The same in few parts, which are attached as they are. They must not be merged before: a merge would write down the numbers of
-- the inserts into this table, and later they would be taken for those of the other.
CREATE TABLE rewrite_after_calls AS llm_calls;

ALTER TABLE rewrite_after_calls MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1;

CREATE TABLE rewrite_after_steps AS llm_steps;

ALTER TABLE rewrite_after_steps MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1;

CREATE TABLE rewrite_before_calls AS llm_calls;

ALTER TABLE rewrite_before_calls ADD COLUMN block_number UInt64, ADD COLUMN block_offset UInt64;

CREATE TABLE rewrite_before_steps AS llm_steps;

ALTER TABLE rewrite_before_steps ADD COLUMN block_number UInt64, ADD COLUMN block_offset UInt64;
