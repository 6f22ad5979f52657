-- Spans and log records that look like LLM work and match no dialect, counted. They are in otel_traces and otel_logs, too.
CREATE TABLE llm_unmapped (
    day Date,
    tenant LowCardinality(String),
    service LowCardinality(String),
    source LowCardinality(String) COMMENT 'span or log',
    scope LowCardinality(String),
    span_name LowCardinality(String) COMMENT 'numbers and ids replaced by *',
    operation String COMMENT 'what the span calls its operation, if no row of llm_operations knows it',
    spans SimpleAggregateFunction(sum, UInt64),
    last_at SimpleAggregateFunction(max, DateTime),
    sample_trace_id SimpleAggregateFunction(anyLast, String),
    sample_keys SimpleAggregateFunction(anyLast, Array(String)) COMMENT 'attribute keys of one of them that no alias maps'
) ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (tenant, day, service, source, scope, span_name, operation)
TTL day + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456, non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW llm_unmapped_mv TO llm_unmapped AS
SELECT
    toDate(timestamp) AS day, tenant, service, source, scope,
    substring(replaceRegexpAll(llm_step_spans.span_name, '(?:0x)?[0-9a-fA-F-]*[0-9][0-9a-fA-F-]*', '*'), 1, 200) AS span_name,
    substring(arrayFirst(value -> value != '', [${emitted_operations}]), 1, 200) AS operation,
    count() AS spans,
    max(toDateTime(timestamp)) AS last_at,
    anyLast(trace_id) AS sample_trace_id,
    anyLast(arraySlice(arrayFilter(key -> NOT dictHas('${database}.llm_alias', key), mapKeys(attributes)), 1, 50)) AS sample_keys
FROM llm_step_spans
WHERE role = 'unmapped'
GROUP BY day, tenant, service, source, scope, span_name, operation;

-- What the hub cannot count or price, a row a day, and what would change that. A call is in it once, with the first that holds.
CREATE VIEW llm_gaps AS
SELECT
    day, gap, tenant, service, provider, model, scope, span_name, calls, tokens, last_at, sample_trace_id,
    multiIf(
        gap = 'no_price', printf('llmhub prices override --provider %s --model %s --input USD --output USD', if(provider = '', 'PROVIDER', safe_provider), safe_model),
        gap = 'no_model' AND model_key != '', printf('storage.aliases: [{slot: request_model, key: %s}]', model_key),
        gap = 'no_model', 'set gen_ai.request.model on the span',
        gap = 'no_usage' AND input_key != '' AND output_key != '',
            printf('storage.aliases: [{slot: input_tokens, key: %s}, {slot: output_tokens, key: %s}]', input_key, output_key),
        gap = 'no_usage' AND streaming, 'let the stream end with its usage: stream_options={"include_usage": true} in OpenAI''s API',
        gap = 'no_usage', 'set gen_ai.usage.input_tokens and gen_ai.usage.output_tokens on the span',
        -- Or the role that it has.
        operation != '', printf('storage.operations: [{value: %s, role: llm, operation: chat}]', safe_operation),
        input_key != '' AND output_key != '',
            printf('storage.aliases: [{slot: input_tokens, key: %s}, {slot: output_tokens, key: %s}]', input_key, output_key),
        model_key != '', printf('storage.aliases: [{slot: request_model, key: %s}]', model_key),
        'set gen_ai.operation.name on the span') AS fix
FROM (
    SELECT
        *,
        -- These names come from whoever sends, and end in somebody's shell.
        replaceRegexpAll(provider, '[^\\w.:/@-]', '?') AS safe_provider,
        replaceRegexpAll(model, '[^\\w.:/@-]', '?') AS safe_model,
        replaceRegexpAll(lower(operation), '[^\\w.:/@-]', '?') AS safe_operation,
        arrayFilter(key -> match(key, '^[\\w.:/@-]+$'), keys) AS safe_keys,
        arrayFirst(key -> match(key, '(?i)(?:prompt|input)[._]?tokens?|tokens?[._]?(?:prompt|input)'), safe_keys) AS input_key,
        arrayFirst(key -> match(key, '(?i)(?:completion|output)[._]?tokens?|tokens?[._]?(?:completion|output)'), safe_keys) AS output_key,
        arrayFirst(key -> match(key, '(?i)model(?:[._]?(?:name|id))?$'), safe_keys) AS model_key
    FROM (
        SELECT
            toDate(timestamp) AS day,
            multiIf(model = '', 'no_model', NOT has_usage AND NOT is_error, 'no_usage', has_usage AND cost IS NULL, 'no_price', '') AS gap,
            tenant, service, provider, model, scope, span_name, streaming, '' AS operation,
            count() AS calls,
            sum(input_tokens + output_tokens) AS tokens,
            max(toDateTime(timestamp)) AS last_at,
            argMax(trace_id, timestamp) AS sample_trace_id,
            argMax(mapKeys(attributes), timestamp) AS keys
        FROM llm_calls
        WHERE gap != ''
        GROUP BY day, gap, tenant, service, provider, model, scope, span_name, streaming
        UNION ALL
        SELECT
            day, 'unmapped' AS gap, tenant, service, '' AS provider, '' AS model, scope, span_name, false AS streaming, operation,
            sum(spans) AS calls,
            0 AS tokens,
            max(llm_unmapped.last_at) AS last_at,
            anyLast(llm_unmapped.sample_trace_id) AS sample_trace_id,
            anyLast(sample_keys) AS keys
        FROM llm_unmapped
        GROUP BY day, tenant, service, scope, span_name, operation
    )
);
