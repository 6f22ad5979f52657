-- One row a model call (chat, completion, embedding, rerank), whatever dialect reported it.
-- Token counts are inclusive: cached and cache-write tokens are part of input_tokens, reasoning
-- tokens part of output_tokens. Times are seconds. cost is USD; NULL where no price is known.
-- The key ends with the second and parts become wide as in otel_traces. A condition on timestamp finds but the hour in
-- the key, for that comes first; idx_timestamp finds the rest.
CREATE TABLE llm_calls (
    timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    tenant LowCardinality(String),
    service LowCardinality(String),
    environment LowCardinality(String),
    role LowCardinality(String) COMMENT 'llm, embedding or rerank',
    operation LowCardinality(String) COMMENT 'gen_ai.operation.name, e.g. chat, text_completion, embeddings',
    provider LowCardinality(String) COMMENT 'gen_ai.provider.name',
    model LowCardinality(String) COMMENT 'response_model, or request_model when there was no response',
    request_model LowCardinality(String),
    response_model LowCardinality(String),
    service_tier LowCardinality(String) COMMENT 'e.g. batch, flex or priority, as reported',
    input_tokens UInt64 CODEC(T64, ZSTD(1)),
    cached_input_tokens UInt64 CODEC(T64, ZSTD(1)),
    cache_write_tokens UInt64 CODEC(T64, ZSTD(1)),
    cache_write_1h_tokens UInt64 CODEC(T64, ZSTD(1)) COMMENT 'those of cache_write_tokens that are kept for an hour',
    output_tokens UInt64 CODEC(T64, ZSTD(1)),
    reasoning_tokens UInt64 CODEC(T64, ZSTD(1)),
    usage_details Map(LowCardinality(String), UInt64) CODEC(ZSTD(1)) COMMENT 'what else is priced, by the unit of genai-prices: audio, image and video tokens, web searches',
    total_tokens UInt64 ALIAS input_tokens + output_tokens,
    has_usage Bool COMMENT 'the emitter reported token counts',
    input_was_exclusive Bool COMMENT 'the emitter left cached tokens out of its input count',
    streaming Bool,
    time_to_first_token Nullable(Float64) CODEC(ZSTD(1)),
    duration Float64 CODEC(ZSTD(1)),
    tokens_per_second Nullable(Float64) ALIAS if(output_tokens > 0 AND duration > ifNull(time_to_first_token, 0), output_tokens / (duration - ifNull(time_to_first_token, 0)), NULL),
    finish_reasons Array(LowCardinality(String)),
    is_error Bool,
    error_type LowCardinality(String) COMMENT 'error.type as emitted',
    error_class LowCardinality(String) COMMENT 'rate_limit, timeout, auth, context_length, content_filter, invalid_request, not_found, overloaded, server_error, connection, cancelled, other',
    user_id String CODEC(ZSTD(1)),
    session_id String CODEC(ZSTD(1)),
    agent LowCardinality(String),
    tool LowCardinality(String),
    feature LowCardinality(String),
    team LowCardinality(String),
    prompt_name LowCardinality(String),
    prompt_version LowCardinality(String),
    dimensions Map(LowCardinality(String), String) CODEC(ZSTD(1)) COMMENT 'attributes that storage.dimensions promotes',
    response_id String CODEC(ZSTD(1)),
    request_id String CODEC(ZSTD(1)) COMMENT 'of the provider, where the emitter tells it',
    preference UInt8 COMMENT 'of two reports of one call the smaller one is kept',
    cost Nullable(Float64) CODEC(ZSTD(1)),
    reported_cost Nullable(Float64) CODEC(ZSTD(1)),
    reported_currency LowCardinality(String) COMMENT 'ISO 4217, upper case; empty: USD',
    price_id LowCardinality(String) COMMENT 'which price the model has, e.g. openai/gpt-4o; empty: none is known',
    price_version LowCardinality(String) COMMENT 'the price row that cost was computed from',
    source LowCardinality(String) COMMENT 'span or log',
    dialect LowCardinality(String) COMMENT 'the convention the emitter speaks',
    scope LowCardinality(String) COMMENT 'instrumentation scope name',
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    parent_span_id String CODEC(ZSTD(1)),
    span_name LowCardinality(String),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)) COMMENT 'what the alias table does not map, content excluded',
    received_at DateTime64(3) CODEC(Delta(8), ZSTD(1)),
    INDEX idx_trace_id trace_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_timestamp timestamp TYPE minmax GRANULARITY 1
) ENGINE = MergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (tenant, service, toStartOfHour(timestamp), provider, model, toDateTime(timestamp))
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 0, min_rows_for_wide_part = 131072, merge_selector_base = 40, non_replicated_deduplication_window = 10000;

-- One row a step that is no model call: tools, agents, workflows, retrieval, guardrails, evaluators, memory, MCP, and the
-- umbrella spans that frameworks put around calls. What they repeat of the usage of calls is not kept.
CREATE TABLE llm_steps (
    timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    tenant LowCardinality(String),
    service LowCardinality(String),
    environment LowCardinality(String),
    role LowCardinality(String) COMMENT 'tool, agent, workflow, retrieval, guardrail, evaluator, memory, mcp, prompt, event or umbrella',
    operation LowCardinality(String) COMMENT 'gen_ai.operation.name, e.g. execute_tool, invoke_agent',
    name LowCardinality(String) COMMENT 'of the tool, agent, workflow, data source or guardrail',
    tool_call_id String CODEC(ZSTD(1)),
    agent LowCardinality(String),
    user_id String CODEC(ZSTD(1)),
    session_id String CODEC(ZSTD(1)),
    feature LowCardinality(String),
    team LowCardinality(String),
    duration Float64 CODEC(ZSTD(1)) COMMENT 'seconds',
    is_error Bool,
    error_type LowCardinality(String),
    error_class LowCardinality(String),
    scope LowCardinality(String),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    parent_span_id String CODEC(ZSTD(1)),
    span_name LowCardinality(String),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)) COMMENT 'what the alias table does not map, content excluded',
    received_at DateTime64(3) CODEC(Delta(8), ZSTD(1)),
    INDEX idx_trace_id trace_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_timestamp timestamp TYPE minmax GRANULARITY 1
) ENGINE = MergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (tenant, service, toStartOfHour(timestamp), role, toDateTime(timestamp))
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 0, min_rows_for_wide_part = 131072, merge_selector_base = 40, non_replicated_deduplication_window = 10000;

-- Business and security events: guardrail decisions, budgets, approvals, evaluations, feedback.
CREATE TABLE llm_events (
    timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    tenant LowCardinality(String),
    service LowCardinality(String),
    environment LowCardinality(String),
    source LowCardinality(String) COMMENT 'log, span_event or span',
    event_name LowCardinality(String) COMMENT 'as emitted; the name of the span where that is the event',
    kind LowCardinality(String) COMMENT 'the name of its kind, whatever the emitter calls it, such as gen_ai.guardrail.result',
    category LowCardinality(String) COMMENT 'security, cost, governance, compliance, evaluation, feedback or asset',
    severity LowCardinality(String) COMMENT 'info, low, medium, high or critical',
    action LowCardinality(String) COMMENT 'what was decided or done; of a security event allow, block, redact, warn or escalate',
    security_category LowCardinality(String) COMMENT 'prompt_injection, jailbreak, pii, secrets, toxicity, data_exfiltration, unsafe_tool_use, policy_violation, hallucination or other',
    stage LowCardinality(String) COMMENT 'what a guardrail looked at: input, output, tool_call, tool_result, retrieval or memory',
    score Nullable(Float64),
    actor String,
    object String,
    policy_id String,
    body String CODEC(ZSTD(1)),
    response_id String CODEC(ZSTD(1)) COMMENT 'of the call it is about',
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    received_at DateTime64(3) CODEC(Delta(8), ZSTD(1))
) ENGINE = MergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (tenant, category, event_name, timestamp)
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456, non_replicated_deduplication_window = 10000;

-- The 1-minute roll-up. Read it through sum(), quantilesDDMerge() and uniqMerge(): rows of one key
-- may not have been merged yet. The quantile sketches hold milliseconds: below 1 they lose accuracy.
CREATE TABLE llm_calls_1m (
    minute DateTime CODEC(Delta, ZSTD(1)),
    tenant LowCardinality(String),
    service LowCardinality(String),
    environment LowCardinality(String),
    role LowCardinality(String),
    operation LowCardinality(String),
    provider LowCardinality(String),
    model LowCardinality(String),
    error_class LowCardinality(String),
    calls SimpleAggregateFunction(sum, Int64),
    errors SimpleAggregateFunction(sum, Int64),
    streams SimpleAggregateFunction(sum, Int64),
    input_tokens SimpleAggregateFunction(sum, Int64),
    cached_input_tokens SimpleAggregateFunction(sum, Int64),
    cache_write_tokens SimpleAggregateFunction(sum, Int64),
    output_tokens SimpleAggregateFunction(sum, Int64),
    reasoning_tokens SimpleAggregateFunction(sum, Int64),
    cost SimpleAggregateFunction(sum, Float64),
    unpriced_calls SimpleAggregateFunction(sum, Int64),
    duration_sum SimpleAggregateFunction(sum, Float64),
    duration_ms AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Float64),
    time_to_first_token_ms AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Float64),
    users AggregateFunction(uniq, String),
    sessions AggregateFunction(uniq, String),
    last_received_at SimpleAggregateFunction(max, DateTime64(3))
) ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (tenant, service, minute, provider, model, environment, role, operation, error_class)
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456, non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW llm_calls_1m_mv TO llm_calls_1m AS
SELECT
    toStartOfMinute(timestamp) AS minute,
    tenant, service, environment, role, operation, provider, model, error_class,
    count() AS calls,
    countIf(is_error) AS errors,
    countIf(streaming) AS streams,
    sum(input_tokens) AS input_tokens,
    sum(cached_input_tokens) AS cached_input_tokens,
    sum(cache_write_tokens) AS cache_write_tokens,
    sum(output_tokens) AS output_tokens,
    sum(reasoning_tokens) AS reasoning_tokens,
    sum(ifNull(llm_calls.cost, 0)) AS cost,
    countIf(llm_calls.cost IS NULL) AS unpriced_calls,
    sum(duration) AS duration_sum,
    quantilesDDState(0.01, 0.5, 0.95, 0.99)(1000 * duration) AS duration_ms,
    quantilesDDStateIf(0.01, 0.5, 0.95, 0.99)(1000 * ifNull(time_to_first_token, 0), time_to_first_token IS NOT NULL) AS time_to_first_token_ms,
    uniqStateIf(user_id, user_id != '') AS users,
    uniqStateIf(session_id, session_id != '') AS sessions,
    max(received_at) AS last_received_at
FROM llm_calls
GROUP BY minute, tenant, service, environment, role, operation, provider, model, error_class;
