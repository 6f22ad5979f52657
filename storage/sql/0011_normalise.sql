-- From spans and log records of any dialect to calls and steps. Each attribute is looked up once, in the alias table, and what
-- comes of it is shared by everything below: llm_spans is a block in memory, no table on disk.
CREATE TABLE llm_spans (
    timestamp DateTime64(9),
    tenant LowCardinality(String),
    service LowCardinality(String),
    environment LowCardinality(String),
    source LowCardinality(String) COMMENT 'span or log',
    role LowCardinality(String) COMMENT 'of llm_operations; unmapped: looks like LLM work and matches no dialect',
    operation LowCardinality(String),
    slots Map(LowCardinality(String), String) COMMENT 'the value of the best key of each slot of llm_aliases',
    attributes Map(LowCardinality(String), String),
    duration UInt64 COMMENT 'nanoseconds',
    first_token_at DateTime64(9) COMMENT '1970 where no event tells',
    error_type String,
    error_text String,
    finish_reason String COMMENT 'of a span event or a message',
    response_id String,
    call_key String COMMENT 'what two reports of one call have in common',
    preference UInt8 COMMENT 'of two reports of one call the smaller one is kept',
    trace_id String,
    span_id String,
    parent_span_id String,
    span_name LowCardinality(String),
    scope LowCardinality(String),
    received_at DateTime64(3)
) ENGINE = Null;

CREATE MATERIALIZED VIEW llm_spans_mv TO llm_spans AS
WITH spans AS (SELECT * EXCEPT (request_id, reason) FROM otlp_spans WHERE reason = ''),
${llm_spans};

-- What another collector wrote into otel_traces itself.
CREATE MATERIALIZED VIEW llm_foreign_spans_mv TO llm_spans AS
WITH spans AS (SELECT * FROM otel_traces WHERE NOT FromHub),
${llm_spans};

CREATE MATERIALIZED VIEW llm_log_spans_mv TO llm_spans AS
WITH
    named AS (
        SELECT
            *,
            arrayFirst(name -> name != '', [
                toString(EventName), LogAttributes['event.name'], LogAttributes['event_name'],
                if(match(Body, '^[a-z_]+\\.[a-z_.]+$'), Body, '')]) AS event_name,
            dictGet('${database}.llm_log_operation', ('role', 'operation'), event_name) AS kind
        FROM otlp_log_records
        -- An event that belongs to a span repeats what the span says.
        WHERE reason = '' AND kind.1 != '' AND (SpanId = '' OR event_name != 'gen_ai.client.inference.operation.details')
    ),
    slotted AS (
        SELECT *, LogAttributes AS attributes, ${slots} AS slots FROM named
    )
SELECT
    Timestamp - toIntervalNanosecond(duration) AS timestamp,
    Tenant AS tenant,
    ServiceName AS service,
    if(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'],
        ResourceAttributes['deployment.environment']) AS environment,
    'log' AS source,
    if(kind.1 IN ('llm', 'embedding', 'rerank') AND slots['request_model'] = '', 'unmapped', kind.1) AS role,
    kind.2 AS operation,
    slots,
    attributes,
    toUInt64(1e6 * least(toFloat64OrZero(slots['duration_milliseconds']), 86400000)) AS duration,
    toDateTime64(0, 9) AS first_token_at,
    if(endsWith(event_name, 'api_error') OR slots['success'] = 'false', if(slots['error_type'] != '', slots['error_type'], '_OTHER'), slots['error_type']) AS error_type,
    concat(slots['http_status'], ' ', error_type, ' ', LogAttributes['error'], LogAttributes['error_message']) AS error_text,
    '' AS finish_reason,
    slots['response_id'] AS response_id,
    if(slots['request_id'] != '', slots['request_id'], response_id) AS call_key,
    8 AS preference,
    TraceId AS trace_id,
    SpanId AS span_id,
    '' AS parent_span_id,
    event_name AS span_name,
    ScopeName AS scope,
    ReceivedAt AS received_at
FROM slotted;

-- Steps that are no model calls: tools, agents, workflows, retrieval, guardrails, evaluators, memory, MCP, prompts, and the
-- umbrella spans that frameworks put around calls.
CREATE MATERIALIZED VIEW llm_steps_mv TO llm_steps AS
SELECT
    timestamp, tenant, service, environment, role, operation,
    multiIf(
        role IN ('tool', 'mcp') AND slots['tool'] != '', slots['tool'],
        role = 'agent' AND slots['agent'] != '', slots['agent'],
        role = 'workflow' AND slots['workflow'] != '', slots['workflow'],
        role = 'retrieval' AND slots['data_source'] != '', slots['data_source'],
        role = 'guardrail' AND slots['guardrail'] != '', slots['guardrail'],
        span_name) AS name,
    slots['tool_call_id'] AS tool_call_id,
    slots['agent'] AS agent,
    slots['user_id'] AS user_id,
    slots['session_id'] AS session_id,
    slots['feature'] AS feature,
    slots['team'] AS team,
    duration / 1e9 AS duration,
    error_type != '' AS is_error,
    error_type,
    if(error_type != '' AND role = 'tool', 'tool_error', if(error_type = '', '', 'other')) AS error_class,
    scope, trace_id, span_id, parent_span_id, span_name,
    mapFilter((key, value) -> length(value) <= 256 AND NOT dictHas('${database}.llm_alias', key) AND NOT match(key, '${content_keys}'), llm_spans.attributes) AS attributes,
    received_at
FROM llm_spans
WHERE role NOT IN ('llm', 'embedding', 'rerank', 'unmapped');

CREATE MATERIALIZED VIEW llm_calls_mv TO llm_calls AS
WITH
    -- Two reports of one call carry one id and overlap; of those within one block only the best is stored.
    repeated AS (
        SELECT tenant, call_key, groupArray((timestamp, timestamp + toIntervalNanosecond(duration), preference, span_id)) AS copies
        FROM llm_spans
        WHERE call_key != '' AND role IN ('llm', 'embedding', 'rerank')
        GROUP BY tenant, call_key
        HAVING count() > 1
    ),
    calls AS (
        SELECT
            llm_spans.* EXCEPT (finish_reason),
            lower(slots['provider']) AS emitted_provider,
            lower(slots['service_tier']) AS service_tier,
            if(slots['finish_reasons'] != '', slots['finish_reasons'], finish_reason) AS emitted_finish,
            slots['invocation_parameters'] AS invocation_json,
            slots['langfuse_usage'] AS langfuse_json,
            concat(slots['langfuse_usage'], slots['usage_raw'], slots['litellm_usage']) AS usage_text,
            -- Slots of this prefix are named after units of genai-prices.
            mapApply((key, value) -> (substring(key, 7), toUInt64OrZero(substringIndex(value, '.', 1))), mapFilter((key, value) -> startsWith(key, 'usage.') AND value != '0', slots)) AS slot_details,
            slots['ttft_mixed'] AS ttft_mixed,
            slots['model_name'] AS model_name,
            slots['input_tokens'] AS input_text,
            slots['output_tokens'] AS output_text,
            slots['cached_input_tokens'] AS cached_text,
            slots['cache_write_tokens'] AS cache_write_text,
            slots['reasoning_tokens'] AS reasoning_text
        FROM llm_spans
        LEFT JOIN repeated ON repeated.tenant = llm_spans.tenant AND repeated.call_key = llm_spans.call_key
        WHERE role IN ('llm', 'embedding', 'rerank')
            AND NOT arrayExists(copy -> copy.4 != span_id AND copy.1 <= timestamp + toIntervalNanosecond(duration) AND copy.2 >= timestamp
                AND (copy.3, copy.4) < (preference, span_id), copies)
            -- Without an id of the response: the inner one of two nested spans, unless it is the SDK's own.
            AND NOT (preference < 4 AND slots['response_id'] = '' AND (trace_id, span_id) IN (
                SELECT trace_id, parent_span_id FROM llm_spans WHERE role = 'llm' AND preference < 4 AND parent_span_id != ''))
            AND NOT (preference >= 4 AND (trace_id, parent_span_id) IN (
                SELECT trace_id, span_id FROM llm_spans WHERE role = 'llm' AND preference < 4))
    ),
    read AS (
        SELECT
            *,
            dictGetOrDefault('${database}.llm_provider', 'provider', emitted_provider,
                dictGetOrDefault('${database}.llm_provider', 'provider', substringIndex(emitted_provider, '.', 1), emitted_provider)) AS provider,
            arrayFirst(name -> name != '', [slots['request_model'], JSONExtractString(invocation_json, 'model'), model_name]) AS request_model,
            arrayFirst(name -> name != '', [slots['response_model'], if(error_type = '', model_name, '')]) AS response_model,
            if(usage_text = '', slot_details, mapConcat(slot_details, mapFilter((unit, count) -> count > 0, map(
                'input_audio_tokens', toUInt64OrZero(extract(usage_text, '(?:prompt|input)_tokens_details[^}]*?audio_tokens[''"]?[=:] ?(\\d+)')),
                'output_audio_tokens', toUInt64OrZero(extract(usage_text, '(?:completion|output)_tokens_details[^}]*?audio_tokens[''"]?[=:] ?(\\d+)')),
                'web_searches', toUInt64OrZero(extract(usage_text, 'web_search_requests[''"]?[=:] ?(\\d+)')))))) AS usage_details,
            input_text != '' OR output_text != '' OR langfuse_json != '' OR notEmpty(slot_details) AS has_usage,
            if(langfuse_json = '', toUInt64OrZero(substringIndex(input_text, '.', 1)), arrayMax(key -> JSONExtractUInt(langfuse_json, key),
                ['prompt_tokens', 'input', 'input_tokens'])) AS emitted_input,
            if(langfuse_json = '', toUInt64OrZero(substringIndex(output_text, '.', 1)), arrayMax(key -> JSONExtractUInt(langfuse_json, key),
                ['completion_tokens', 'output', 'output_tokens'])) AS output_tokens,
            multiIf(
                cached_text != '', toUInt64OrZero(substringIndex(cached_text, '.', 1)),
                usage_text = '', 0,
                toUInt64OrZero(extract(usage_text,
                    '(?:cached_tokens|input_cached_tokens|cache_read_input_tokens)[''"]?[=:] ?(\\d+)'))) AS cached_input_tokens,
            if(slots['cache_write_1h_tokens'] = '' AND usage_text != '', toUInt64OrZero(extract(usage_text, 'ephemeral_1h_input_tokens[''"]?[=:] ?(\\d+)')),
                toUInt64OrZero(substringIndex(slots['cache_write_1h_tokens'], '.', 1))) AS cache_write_1h_tokens,
            multiIf(
                cache_write_text != '', toUInt64OrZero(substringIndex(cache_write_text, '.', 1)),
                slots['cache_write_5m_tokens'] != '' OR slots['cache_write_1h_tokens'] != '',
                    toUInt64OrZero(substringIndex(slots['cache_write_5m_tokens'], '.', 1)) + toUInt64OrZero(substringIndex(slots['cache_write_1h_tokens'], '.', 1)),
                usage_text = '', 0,
                toUInt64OrZero(extract(usage_text, 'cache_creation_input_tokens[''"]?[=:] ?(\\d+)'))) AS cache_write_tokens,
            multiIf(
                reasoning_text != '', toUInt64OrZero(substringIndex(reasoning_text, '.', 1)),
                usage_text = '', 0,
                toUInt64OrZero(extract(usage_text, 'reasoning_tokens[''"]?[=:] ?(\\d+)'))) AS reasoning_tokens,
            -- The status code and the type tell most; a 400 or an unknown type is told by the message.
            if(error_type = '', [], arrayMap(text -> arrayFirst((class, found) -> found,
                ['rate_limit', 'overloaded', 'context_length', 'content_filter', 'timeout', 'auth', 'not_found', 'invalid_request', 'cancelled', 'connection', 'server_error', 'other'],
                arrayMap(pattern -> match(text, pattern), [
                    '(?i)^429|\\b429\\b|rate.?limit|throttl|resource_exhausted|quota',
                    '(?i)^529|\\b529\\b|overloaded|^503|\\b503\\b|service.?unavailable',
                    '(?i)context.?length|context.?window|too.?many.?tokens',
                    '(?i)content.?filter|content.?policy|safety',
                    '(?i)timeout|timed.?out|deadline|^408|^504',
                    '(?i)^401|^403|\\b40[13]\\b|authentication|permission|unauthorized|forbidden|invalid.?api.?key',
                    '(?i)^404|\\b404\\b|not.?found',
                    '(?i)^4\\d\\d|bad.?request|invalid|validation|unprocessable',
                    '(?i)cancel|abort',
                    '(?i)connect|socket|network|dns|\\bssl\\b',
                    '(?i)^5\\d\\d|internal.?server|server.?error|api.?error',
                    ''])), [concat(slots['http_status'], ' ', error_type), error_text])) AS error_classes,
            lower(slots['streaming']) IN ('true', '1') OR JSONExtractBool(invocation_json, 'stream')
                OR match(slots['vercel_operation'], 'doStream$') OR slots['operation'] = 'streamText' OR slots['logfire_span_type'] = 'log' AS says_streaming
        FROM calls
    ),
    -- Conventions differ in whether cached tokens are part of the input; here they always are.
    measured AS (
        SELECT
            *,
            if(response_model != '', response_model, request_model) AS model,
            multiIf(
                slots['token_semantics'] = 'inclusive', false,
                match(scope, '^github\\.com/grafana/sigil|agento11y|claude_code') OR slots['span_type'] = 'llm_request' OR position(langfuse_json, 'input_cached_tokens') > 0, true,
                emitted_input < cached_input_tokens + cache_write_tokens) AS input_was_exclusive,
            multiIf(
                slots['ttft_seconds'] != '', toFloat64OrNull(slots['ttft_seconds']),
                slots['ttft_milliseconds'] != '', toFloat64OrNull(slots['ttft_milliseconds']) / 1000,
                -- gen_ai.server.time_to_first_token has no fixed unit: a whole number of 10 or more is milliseconds. Some
                -- emit it for calls that do not stream, where it is the whole duration.
                match(ttft_mixed, '^\\d\\d+$'), toFloat64OrNull(ttft_mixed) / 1000,
                ttft_mixed != '' AND says_streaming, toFloat64OrNull(ttft_mixed),
                slots['ttft_timestamp'] != '',
                    dateDiff('microsecond', timestamp, parseDateTime64BestEffortOrNull(trim(BOTH '"' FROM slots['ttft_timestamp']), 6)) / 1e6,
                first_token_at > timestamp, (toUnixTimestamp64Nano(first_token_at) - toUnixTimestamp64Nano(timestamp)) / 1e9,
                NULL) AS ttft,
            if(input_was_exclusive, emitted_input + cached_input_tokens + cache_write_tokens, emitted_input) AS input_tokens,
            ${short_key} AS short_key,
            ${price_id} AS price_id
        FROM read
    ),
    priced AS (
        SELECT *, ${price} AS price
        FROM measured
    )
SELECT
    timestamp, tenant, service, environment, role, operation,
    provider,
    model,
    request_model,
    if(response_model != '' OR error_type != '', response_model, request_model) AS response_model,
    service_tier,
    input_tokens, cached_input_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens, reasoning_tokens, usage_details, has_usage, input_was_exclusive,
    says_streaming OR ttft IS NOT NULL AS streaming,
    if(ttft BETWEEN 0 AND 86400, ttft, NULL) AS time_to_first_token,
    duration / 1e9 AS duration,
    arrayMap(
        reason -> transform(lower(reason),
            ['tool_calls', 'tool_use', 'tool-calls', 'function_call', 'end_turn', 'completed', 'stop_sequence', 'max_tokens', 'max_output_tokens',
                'content-filter', 'safety', 'refusal', 'guardrail_intervened'],
            ['tool_call', 'tool_call', 'tool_call', 'tool_call', 'stop', 'stop', 'stop', 'length', 'length',
                'content_filter', 'content_filter', 'content_filter', 'content_filter'],
            lower(reason)),
        multiIf(
            startsWith(emitted_finish, '['), JSONExtract(emitted_finish, 'Array(String)'),
            emitted_finish = '', [],
            [trim(BOTH '"' FROM emitted_finish)])) AS finish_reasons,
    error_type != '' AS is_error,
    error_type,
    multiIf(
        error_type = '', '',
        error_classes[1] = 'other', error_classes[2],
        error_classes[1] = 'invalid_request' AND error_classes[2] IN ('context_length', 'content_filter'), error_classes[2],
        error_classes[1]) AS error_class,
    slots['user_id'] AS user_id,
    slots['session_id'] AS session_id,
    slots['agent'] AS agent,
    slots['tool'] AS tool,
    slots['feature'] AS feature,
    slots['team'] AS team,
    slots['prompt_name'] AS prompt_name,
    slots['prompt_version'] AS prompt_version,
    CAST(mapApply((key, value) -> (substring(key, 11), value), mapFilter((key, value) -> startsWith(key, 'dimension.'), slots)), 'Map(LowCardinality(String), String)') AS dimensions,
    response_id,
    slots['request_id'] AS request_id,
    preference,
    ${cost} AS cost,
    if(slots['langfuse_cost'] != '', JSONExtract(slots['langfuse_cost'], 'total', 'Nullable(Float64)'), toFloat64OrNull(slots['reported_cost'])) AS reported_cost,
    upper(slots['reported_currency']) AS reported_currency,
    price_id,
    price.4 AS price_version,
    source,
    multiIf(
        slots['langfuse_type'] != '', 'langfuse',
        slots['vercel_operation'] != '' OR scope = 'gen_ai', 'vercel',
        slots['openinference_kind'] != '', 'openinference',
        slots['span_type'] = 'llm_request', 'claude-code',
        startsWith(scope, 'com.anthropic.sdk'), 'anthropic-sdk',
        startsWith(scope, 'github.com/grafana/'), 'agento11y',
        match(scope, '^(?:logfire|pydantic-ai|openlit|litellm|strands)\\b'), extract(scope, '^(?:logfire|pydantic-ai|openlit|litellm|strands)'),
        slots['request_type'] != '' OR priced.attributes['gen_ai.is_streaming'] != ''
            OR match(scope, '^opentelemetry\\.instrumentation\\.(?:openai|anthropic|bedrock|cohere|groq|mistralai|ollama|vertexai|google_generativeai|langchain)(?:\\.v\\d)?$'), 'openllmetry',
        priced.attributes['gen_ai.provider.name'] != '', 'otel',
        priced.attributes['gen_ai.system'] != '', 'otel-legacy',
        'other') AS dialect,
    scope,
    trace_id,
    span_id,
    parent_span_id,
    span_name,
    -- Only short values of keys that nothing maps; message content never comes here.
    mapFilter((key, value) -> length(value) <= 256 AND NOT dictHas('${database}.llm_alias', key) AND NOT match(key, '${content_keys}'), priced.attributes) AS attributes,
    received_at
FROM priced;
