-- From spans and log records of any dialect to calls and steps. Each attribute is looked up once, in the alias table, and what
-- comes of it is shared by everything below: llm_spans is a block in memory, no table on disk.
CREATE TABLE llm_spans (
    timestamp DateTime64(9),
    tenant LowCardinality(String),
    service LowCardinality(String),
    environment LowCardinality(String),
    source LowCardinality(String) COMMENT 'span or log',
    role LowCardinality(String) COMMENT 'of llm_operations; unmapped: looks like LLM work and matches no dialect; carrier: only has events',
    operation LowCardinality(String),
    slots Map(LowCardinality(String), String) COMMENT 'the value of the best key of each slot of llm_aliases',
    attributes Map(LowCardinality(String), String),
    events Array(Tuple(at DateTime64(9), name String, attributes Map(LowCardinality(String), String))) COMMENT 'those of llm_event_names',
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

-- From what is stored, so that other collectors may write there, and rows can be made anew from it. Message content is not in it.
CREATE MATERIALIZED VIEW llm_spans_mv TO llm_spans AS
WITH spans AS (SELECT * FROM otel_traces),
${llm_spans};

CREATE MATERIALIZED VIEW llm_log_spans_mv TO llm_spans AS
WITH
    named AS (
        SELECT
            *,
            arrayFirst(name -> name != '', [
                toString(EventName), LogAttributes['event.name'], LogAttributes['event_name'],
                if(match(Body, '^[a-z_]+\\.[a-z_.]+$'), Body, '')]) AS event_name,
            -- Codex tells of each event of a stream; the last one has the usage. What OpenTelemetry's event says of a span is
            -- counted with the span; without one it is all there is. OpenLIT leaves the span of a stream out, and Gemini CLI tells
            -- the same in an event of its own.
            dictGet('${database}.llm_log_operation', ('role', 'operation'), concat(event_name, multiIf(
                event_name = 'codex.sse_event', concat(':', LogAttributes['event.kind']),
                EventName = 'gen_ai.client.inference.operation.details' AND SpanId = '' AND NOT match(ScopeName, '^(?:openlit|gemini-cli|qwen-code)'), concat(':', LogAttributes['gen_ai.operation.name']),
                ''))) AS kind
        FROM otlp_log_records
        WHERE reason = '' AND kind.1 != ''
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

-- A view is analysed when a block reaches it, and that is most of what an insert of few rows costs. So what most blocks have
-- nothing for hangs on a table of engine Null of its own, behind a view that only filters.
CREATE TABLE llm_step_spans AS llm_spans ENGINE = Null;

CREATE MATERIALIZED VIEW llm_step_spans_mv TO llm_step_spans AS
SELECT * FROM llm_spans WHERE role NOT IN ('llm', 'embedding', 'rerank', 'carrier');

CREATE TABLE llm_event_spans AS llm_spans ENGINE = Null;

-- The names of attributes: evaluations.0.score, trace.annotations.1.label.
CREATE MATERIALIZED VIEW llm_event_spans_mv TO llm_event_spans AS
SELECT *
FROM llm_spans
WHERE source = 'span' AND (notEmpty(events) OR role IN ('guardrail', 'evaluator') OR arrayExists(key -> position(key, 'ations.') > 0, mapKeys(attributes)));

-- Steps that are no model calls: tools, agents, workflows, retrieval, guardrails, evaluators, memory, MCP, prompts, and the
-- umbrella spans that frameworks put around calls.
CREATE MATERIALIZED VIEW llm_steps_mv TO llm_steps AS
SELECT
    timestamp, tenant, service, environment, role, operation,
    multiIf(
        (role IN ('tool', 'mcp') OR operation = 'task') AND slots['tool'] != '', slots['tool'],
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
    if(slots['team'] != '', slots['team'], dictGet('${database}.llm_service', 'team', (tenant, service))) AS team,
    duration / 1e9 AS duration,
    error_type != '' AS is_error,
    error_type,
    if(error_type != '' AND role = 'tool', 'tool_error', if(error_type = '', '', 'other')) AS error_class,
    scope, trace_id, span_id, parent_span_id, span_name,
    mapFilter((key, value) -> length(value) <= 256 AND NOT dictHas('${database}.llm_alias', key) AND ${content_rank} = '', llm_step_spans.attributes) AS attributes,
    received_at
FROM llm_step_spans
WHERE role != 'unmapped';

CREATE MATERIALIZED VIEW llm_calls_mv TO llm_calls AS
WITH
    -- Of several reports of one call within a block only the best is stored; these are the others. Three sets, because a
    -- UNION ALL of them loses rows within a view; each names what it needs, because a common table is analysed wherever it is named.
    -- They carry one id and overlap; the inner one, which starts later, is nearer to the provider. A mock server has one id for all,
    -- and comparing each with each would take for ever.
    equal_ids AS (
        SELECT copy.1, copy.2
        FROM (
            SELECT groupArray((trace_id, span_id, timestamp, timestamp + toIntervalNanosecond(duration), preference)) AS group
            FROM llm_spans
            WHERE call_key != '' AND role IN ('llm', 'embedding', 'rerank') AND cityHash64(tenant, call_key) IN (
                SELECT cityHash64(tenant, call_key) AS hash FROM llm_spans WHERE role IN ('llm', 'embedding', 'rerank') GROUP BY hash HAVING count() BETWEEN 2 AND 64)
            GROUP BY tenant, call_key
        )
        ARRAY JOIN arrayFilter(copy -> arrayExists(
            other -> other.2 != copy.2 AND other.3 <= copy.4 AND other.4 >= copy.3 AND (other.5, copy.3, other.2) < (copy.5, other.3, copy.2), group), group) AS copy
    ),
    -- Two instrumentations saw it, one around the other, and one of them has no id: the inner one is nearer to the provider, unless
    -- it is the SDK's own, which says less and may end before a stream does, and seconds before Logfire's record of that.
    around AS (
        SELECT copy.1, copy.2
        FROM (
            SELECT groupArray((trace_id, span_id, timestamp, timestamp + toIntervalNanosecond(duration), preference, scope, response_id)) AS group
            FROM llm_spans
            WHERE role IN ('llm', 'embedding') AND (tenant, service) IN (SELECT tenant, service FROM llm_spans WHERE role IN ('llm', 'embedding') GROUP BY tenant, service HAVING min(scope) != max(scope))
            GROUP BY tenant, service, role, slots['input_tokens'], if(slots['output_tokens'] = '0', '', slots['output_tokens']), error_type != ''
            HAVING count() BETWEEN 2 AND 256
        )
        ARRAY JOIN arrayFilter(copy -> arrayExists(
            other -> other.6 != copy.6 AND (other.7 = '' OR copy.7 = '') AND if(copy.5 >= 4, other.5 < 4 AND other.3 <= copy.4 + toIntervalSecond(if(startsWith(other.6, 'logfire'), 5, 0)) AND other.4 >= copy.3,
                other.5 < 4 AND other.3 >= copy.3 AND other.4 <= copy.4), group), group) AS copy
    ),
    -- Calls around another call: by '' those around any, by 'told' those around one with an id and usage, and by that id.
    parents AS (
        SELECT trace_id, parent_span_id, arrayJoin(if(response_id != '' AND preference < 2, ['', 'told', response_id], [''])) AS inner_id
        FROM llm_spans
        WHERE role = 'llm' AND preference < 4 AND parent_span_id != ''
    ),
    calls AS (
        SELECT
            * EXCEPT (finish_reason),
            lower(slots['provider']) AS emitted_provider,
            -- The AI SDK leaves it among what the provider adds.
            lower(if(slots['service_tier'] = '', extract(slots['usage_raw'], '"service_?[tT]ier": ?"(\\w+)"'), slots['service_tier'])) AS service_tier,
            if(slots['finish_reasons'] != '', slots['finish_reasons'], finish_reason) AS emitted_finish,
            slots['invocation_parameters'] AS invocation_json,
            slots['langfuse_usage'] AS langfuse_json,
            -- Langfuse's own kinds of tokens add up: what is cached or reasoning is not in input or output.
            JSONExtractKeysAndValues(slots['langfuse_usage'], 'UInt64') AS langfuse_counts,
            concat(slots['langfuse_usage'], slots['usage_raw'], slots['litellm_usage']) AS usage_text,
            -- Slots of this prefix are named after units of genai-prices.
            mapApply((key, value) -> (substring(key, 7), toUInt64OrZero(substringIndex(value, '.', 1))), mapFilter((key, value) -> startsWith(key, 'usage.') AND value != '0', slots)) AS slot_details,
            slots['ttft_mixed'] AS ttft_mixed,
            slots['model_name'] AS model_name,
            -- Embeddings have no output.
            if(role = 'embedding' AND slots['input_tokens'] = '', slots['total_tokens'], slots['input_tokens']) AS input_text,
            slots['output_tokens'] AS output_text,
            slots['cached_input_tokens'] AS cached_text,
            slots['cache_write_tokens'] AS cache_write_text,
            slots['reasoning_tokens'] AS reasoning_text
        FROM llm_spans
        WHERE role IN ('llm', 'embedding', 'rerank') AND (trace_id, span_id) NOT IN equal_ids
            AND (trace_id, span_id) NOT IN around
            -- A gateway has an id of its own for what its client's instrumentation tells, too.
            AND NOT (preference < 4 AND (trace_id, span_id, if(response_id = '', '', 'told')) IN parents AND (response_id = '' OR (trace_id, span_id, response_id) NOT IN parents))
    ),
    read AS (
        SELECT
            *,
            -- LiteLLM and Genkit say which API a model is behind.
            arrayMap(name -> if(match(name, '/') AND match(scope, 'litellm|^genkit'),
                replaceRegexpOne(name, '^(?:(?:openai|anthropic|gemini|vertex_ai|bedrock|azure|azure_ai|mistral|cohere|groq|deepseek|together_ai|fireworks_ai|ollama|xai|perplexity|googleai|vertexai|modelgarden|azure-openai|aws-bedrock|amazon-bedrock)/)?(?:converse/|responses/|invoke/)?', ''), name), [
                arrayFirst(name -> name != '', [slots['served_model'], slots['request_model'], JSONExtractString(invocation_json, 'model'), model_name]),
                -- LiteLLM's proxy answers with the name of the group that it was asked for.
                if(slots['served_model'] != '' AND slots['response_model'] IN (slots['model_group'], slots['request_model'])
                        OR scope = 'litellm' AND emitted_provider IN ('openai', 'anthropic', 'bedrock', 'gemini') AND model_name != '' AND NOT startsWith(slots['response_model'], model_name), '',
                    arrayFirst(name -> name != '', [slots['response_model'], if(error_type = '', model_name, '')]))]) AS models,
            models[1] AS request_model,
            dictGetOrDefault('${database}.llm_provider', 'provider', emitted_provider,
                dictGetOrDefault('${database}.llm_provider', 'provider', substringIndex(emitted_provider, '.', 1), emitted_provider)) AS named_provider,
            -- Behind a gateway a model has its maker's name before it.
            if(named_provider = '' AND position(request_model, '/') > 0, dictGet('${database}.llm_provider', 'provider', lower(substringIndex(request_model, '/', 1))), named_provider) AS provider,
            models[2] AS response_model,
            if(usage_text = '', slot_details, mapConcat(slot_details, mapFilter((unit, count) -> count > 0, map(
                'input_audio_tokens', toUInt64OrZero(extract(usage_text, '(?:(?:prompt|input)_tokens_details[^}]*?audio_tokens|input_audio(?:_tokens)?)[''"]?[=:] ?(\\d+)')),
                'output_audio_tokens', toUInt64OrZero(extract(usage_text, '(?:(?:completion|output)_tokens_details[^}]*?audio_tokens|output_audio(?:_tokens)?)[''"]?[=:] ?(\\d+)')),
                'web_searches', toUInt64OrZero(extract(usage_text, 'web_search_requests[''"]?[=:] ?(\\d+)')))))) AS usage_details,
            -- A failed call that tells of no tokens does not know.
            multiIf(
                langfuse_json != '' OR notEmpty(slot_details), true,
                error_type = '', input_text != '' OR output_text != '',
                match(concat(input_text, output_text), '[1-9]')) AS has_usage,
            if(langfuse_json = '', toUInt64OrZero(substringIndex(input_text, '.', 1)), greatest(
                arraySum(pair -> if(match(pair.1, '^input(?:_(?:audio|image|text|video)(?:_tokens)?)?$'), pair.2, 0), langfuse_counts),
                arrayMax(pair -> if(pair.1 IN ('prompt_tokens', 'input_tokens', 'promptTokens', 'inputTokens', 'prompt_token_count', 'promptTokenCount'), pair.2, 0), langfuse_counts))) AS emitted_input,
            if(langfuse_json = '', toUInt64OrZero(substringIndex(output_text, '.', 1)), greatest(
                arraySum(pair -> if(match(pair.1, '^output(?:_(?:audio|image|text|video|reasoning|accepted_prediction|rejected_prediction)(?:_tokens)?)?$'), pair.2, 0), langfuse_counts),
                arrayMax(pair -> if(pair.1 IN ('completion_tokens', 'output_tokens', 'completionTokens', 'outputTokens', 'candidates_token_count', 'candidatesTokenCount'), pair.2, 0), langfuse_counts))) AS emitted_output,
            toUInt64OrZero(substringIndex(slots['total_tokens'], '.', 1)) AS emitted_total,
            multiIf(
                cached_text != '', toUInt64OrZero(substringIndex(cached_text, '.', 1)),
                usage_text = '', 0,
                toUInt64OrZero(extract(usage_text,
                    '(?:cached_tokens|input_cached_tokens|cache_read_input_tokens|(?:input_)?cache_read|cached_content_token_count|cachedContentTokenCount|cacheReadInputTokens)[''"]?[=:] ?(\\d+)'))) AS cached_input_tokens,
            if(slots['cache_write_1h_tokens'] = '' AND usage_text != '', toUInt64OrZero(extract(usage_text, 'ephemeral_1h_input_tokens[''"]?[=:] ?(\\d+)')),
                toUInt64OrZero(substringIndex(slots['cache_write_1h_tokens'], '.', 1))) AS cache_write_1h_tokens,
            multiIf(
                cache_write_text != '', toUInt64OrZero(substringIndex(cache_write_text, '.', 1)),
                slots['cache_write_5m_tokens'] != '' OR slots['cache_write_1h_tokens'] != '',
                    toUInt64OrZero(substringIndex(slots['cache_write_5m_tokens'], '.', 1)) + toUInt64OrZero(substringIndex(slots['cache_write_1h_tokens'], '.', 1)),
                usage_text = '', 0,
                toUInt64OrZero(extract(usage_text, '(?:cache_creation_input_tokens|(?:input_)?cache_creation|cache_write_tokens|cacheCreationInputTokens|cacheWriteInputTokens)[''"]?[=:] ?(\\d+)'))) AS cache_write_tokens,
            multiIf(
                reasoning_text != '', toUInt64OrZero(substringIndex(reasoning_text, '.', 1)),
                usage_text = '', 0,
                toUInt64OrZero(extract(usage_text, '(?:reasoning_tokens|(?:output_)?reasoning|thoughts_token_count|thoughtsTokenCount)[''"]?[=:] ?(\\d+)'))) AS reasoning_tokens,
            -- The status code and the type tell most; a 400 or an unknown type is told by the message.
            if(error_type = '', [], arrayMap(text -> arrayFirst((class, found) -> found,
                ['rate_limit', 'overloaded', 'context_length', 'content_filter', 'timeout', 'auth', 'not_found', 'invalid_request', 'cancelled', 'connection', 'server_error', 'other'],
                arrayMap(pattern -> match(text, pattern), arrayPushBack(${error_patterns}, ''))), [trim(concat(slots['http_status'], ' ', error_type)), error_text])) AS error_classes,
            lower(slots['streaming']) IN ('true', '1', 'conversestream', 'invokemodelwithresponsestream') OR JSONExtractBool(invocation_json, 'stream')
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
                match(scope, 'grafana/sigil|agento11y|claude_code|^@(?:traceloop|openlit)/instrumentation-anthropic|^openlit\\.instrumentation\\.anthropic|^opentelemetry\\.instrumentation\\.(?:genai\\.|botocore\\.)?bedrock') OR slots['span_type'] = 'llm_request' OR match(langfuse_json, '"input_cache|"input":.*"cache_(?:read|creation)_input_tokens|"cache_(?:read|creation)_input_tokens.*"input":'), true,
                -- Anthropic's own counts, passed on.
                position(usage_text, 'cache_read_input_tokens') > 0 AND NOT startsWith(scope, 'mlflow') AND toUInt64OrZero(extract(usage_text, '"input_tokens": ?(\\d+)')) = emitted_input, true,
                emitted_input < cached_input_tokens + cache_write_tokens) AS input_was_exclusive,
            -- A total that is more than the sum tells what one of them left out; Google's candidates never include the thoughts.
            toUInt64(if(emitted_total > emitted_input + emitted_output, emitted_total - emitted_input - emitted_output, 0)) AS left_out,
            left_out > 0 AND (left_out = reasoning_tokens OR reasoning_tokens = 0 AND left_out != cached_input_tokens AND position(model, 'gemini') > 0) AS thoughts_left_out,
            multiIf(
                reasoning_tokens > 0 AND toUInt64OrZero(extract(usage_text, 'candidates(?:_token_c|TokenC)ount[''"]?[=:] ?(\\d+)')) = emitted_output, emitted_output + reasoning_tokens,
                langfuse_json != '', emitted_output,
                thoughts_left_out, emitted_output + left_out,
                emitted_output) AS output_tokens,
            multiIf(
                slots['ttft_seconds'] != '', toFloat64OrNull(slots['ttft_seconds']),
                slots['ttft_milliseconds'] != '', toFloat64OrNull(slots['ttft_milliseconds']) / 1000,
                -- gen_ai.server.time_to_first_token has no fixed unit: a whole number of 10 or more is milliseconds, as is what
                -- Strands says. Some emit it for calls that do not stream, where it is the whole duration.
                match(ttft_mixed, '^\\d\\d+$') OR startsWith(scope, 'strands'), toFloat64OrNull(ttft_mixed) / 1000,
                ttft_mixed != '' AND says_streaming, toFloat64OrNull(ttft_mixed),
                slots['ttft_timestamp'] != '',
                    dateDiff('microsecond', timestamp, parseDateTime64BestEffortOrNull(slots['ttft_timestamp'], 6)) / 1e6,
                first_token_at > timestamp, (toUnixTimestamp64Nano(first_token_at) - toUnixTimestamp64Nano(timestamp)) / 1e9,
                NULL) AS ttft,
            multiIf(
                input_was_exclusive, emitted_input + cached_input_tokens + cache_write_tokens,
                left_out > 0 AND NOT thoughts_left_out AND emitted_output > 0 AND slots['token_semantics'] != 'inclusive', emitted_input + left_out,
                emitted_input) AS input_tokens,
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
    -- Whoever makes the model, where the emitter names a framework, a gateway or nobody.
    dictGetOrDefault('${database}.llm_provider', 'provider', multiIf(
        priced.provider = 'openrouter' AND position(model, '/') > 0, substringIndex(model, '/', 1),
        priced.provider != '', priced.provider,
        match(model, '^(?:us|us-gov|eu|apac|global|jp|au|ca)\\.|^(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek)\\.|-v\\d+:\\d+$'), 'aws.bedrock',
        substringIndex(price_id, '/', 1)) AS maker, maker) AS provider,
    model,
    request_model,
    multiIf(error_type != '' AND NOT has_usage AND response_id = '', '', response_model != '' OR error_type != '', response_model, request_model) AS response_model,
    service_tier,
    input_tokens, cached_input_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens, reasoning_tokens, usage_details, has_usage, input_was_exclusive,
    says_streaming OR ttft IS NOT NULL AS streaming,
    if(ttft BETWEEN 0 AND 86400, ttft, NULL) AS time_to_first_token,
    duration / 1e9 AS duration,
    arrayMap(
        -- Google's enumerations carry their type's name.
        reason -> transform(replaceRegexpOne(lower(reason), '^(?:.*\\.|finish_reason_)', '') AS plain,
            ['tool_calls', 'tool_use', 'tool-calls', 'tool-call', 'tool_execution', 'function_call', 'function_calls',
                'end_turn', 'completed', 'complete', 'stop_sequence', 'eos', 'eos_token', 'endoftext', 'max_tokens', 'max_output_tokens', 'model_length', 'incomplete', 'model_context_window_exceeded',
                'content-filter', 'content_filtered', 'safety', 'refusal', 'guardrail_intervened', 'recitation', 'blocklist', 'prohibited_content', 'spii', 'image_safety', 'error_toxic'],
            ['tool_call', 'tool_call', 'tool_call', 'tool_call', 'tool_call', 'tool_call', 'tool_call',
                'stop', 'stop', 'stop', 'stop', 'stop', 'stop', 'stop', 'length', 'length', 'length', 'length', 'length',
                'content_filter', 'content_filter', 'content_filter', 'content_filter', 'content_filter', 'content_filter', 'content_filter', 'content_filter', 'content_filter', 'content_filter', 'content_filter'],
            plain),
        -- A list as JSON, as Python, or with commas.
        arrayFilter(reason -> reason NOT IN ('null', 'None'), extractAll(emitted_finish, '\\w[\\w.:-]*(?: [\\w.:-]+)*'))) AS finish_reasons,
    error_type != '' AS is_error,
    error_type,
    multiIf(
        error_type = '', '',
        error_classes[1] = 'other' OR error_classes[1] = 'server_error' AND error_classes[2] IN ('overloaded', 'timeout'), error_classes[2],
        error_classes[1] = 'invalid_request' AND error_classes[2] IN ('context_length', 'content_filter'), error_classes[2],
        error_classes[1]) AS error_class,
    slots['user_id'] AS user_id,
    slots['session_id'] AS session_id,
    -- LangChain's agents name themselves in the metadata of OpenInference.
    if(slots['agent'] != '', slots['agent'], JSONExtractString(priced.attributes['metadata'], 'lc_agent_name')) AS agent,
    slots['tool'] AS tool,
    slots['feature'] AS feature,
    if(slots['team'] != '', slots['team'], dictGet('${database}.llm_service', 'team', (tenant, service))) AS team,
    slots['prompt_name'] AS prompt_name,
    slots['prompt_version'] AS prompt_version,
    CAST(mapApply((key, value) -> (substring(key, 11), value), mapFilter((key, value) -> startsWith(key, 'dimension.'), slots)), 'Map(LowCardinality(String), String)') AS dimensions,
    response_id,
    slots['request_id'] AS request_id,
    preference,
    ${cost} AS cost,
    if(slots['langfuse_cost'] != '', ifNull(JSONExtract(slots['langfuse_cost'], 'total', 'Nullable(Float64)'), arraySum(JSONExtractKeysAndValues(slots['langfuse_cost'], 'Float64').2)), toFloat64OrNull(slots['reported_cost'])) AS reported_cost,
    upper(slots['reported_currency']) AS reported_currency,
    price_id,
    price.4 AS price_version,
    source,
    multiIf(
        slots['langfuse_type'] != '', 'langfuse',
        slots['vercel_operation'] != '' OR scope = 'gen_ai', 'vercel',
        slots['openinference_kind'] != '', 'openinference',
        slots['span_type'] = 'llm_request' OR position(scope, 'claude_code') > 0, 'claude-code',
        startsWith(scope, 'com.anthropic.sdk'), 'anthropic-sdk',
        startsWith(scope, 'github.com/grafana/'), 'agento11y',
        match(scope, '^@?(?:logfire|pydantic-ai|openlit|litellm|strands|genkit|langsmith)\\b'), extract(scope, '^@?(logfire|pydantic-ai|openlit|litellm|strands|genkit|langsmith)'),
        slots['request_type'] != '' OR priced.attributes['gen_ai.is_streaming'] != ''
            OR match(scope, '^@traceloop/|^opentelemetry\\.instrumentation\\.(?:openai|anthropic|bedrock|cohere|groq|mistralai|ollama|vertexai|google_generativeai|langchain)(?:\\.v\\d)?$'), 'openllmetry',
        priced.attributes['gen_ai.provider.name'] != '', 'otel',
        priced.attributes['gen_ai.system'] != '', 'otel-legacy',
        'other') AS dialect,
    scope,
    trace_id,
    span_id,
    parent_span_id,
    span_name,
    -- Only short values of keys that nothing maps; message content never comes here.
    mapFilter((key, value) -> length(value) <= 256 AND NOT dictHas('${database}.llm_alias', key) AND ${content_rank} = '', priced.attributes) AS attributes,
    received_at
FROM priced;

-- Security and evaluation events in spans: span events, results in OpenInference's attributes, and guardrails themselves.
CREATE MATERIALIZED VIEW llm_span_events_mv TO llm_events AS
WITH
    prefixed AS (
        SELECT
            timestamp, tenant, service, environment, role, attributes, events, trace_id, span_id, span_name, received_at, response_id,
            if(slots['user_id'] != '', slots['user_id'], slots['agent']) AS span_actor,
            arrayDistinct(arrayFilter(prefix -> prefix != '', arrayMap(
                key -> extract(key, '^((?:trace\\.|session\\.)?(?:evaluations|annotations)\\.\\d+\\.)'), mapKeys(attributes)))) AS prefixes
        FROM llm_event_spans
    ),
    found AS (
        SELECT
            * EXCEPT (events, prefixes),
            arrayJoin(arrayConcat(
                arrayMap(event -> (event.1, 'span_event', event.2, event.2, event.3), events),
                arrayMap(prefix -> (timestamp, 'span', toString(span_name), 'gen_ai.evaluation.result',
                    mapApply((key, value) -> (substring(key, length(prefix) + 1), value), mapFilter((key, value) -> startsWith(key, prefix), attributes))), prefixes),
                -- A guardrail whose findings are events of their own is not told twice.
                if(role IN ('guardrail', 'evaluator') AND empty(events) AND empty(prefixes),
                    [(timestamp, 'span', toString(span_name), if(role = 'guardrail', 'gen_ai.guardrail.result', 'gen_ai.evaluation.result'), attributes)], []))) AS each
        FROM prefixed
    ),
    records AS (
        SELECT
            each.1 AS timestamp,
            tenant, service, environment,
            each.2 AS source,
            each.3 AS event_name,
            dictGet('${database}.llm_event_name', 'kind', each.4) AS kind,
            each.5 AS native,
            if(role = 'guardrail', mapUpdate(found.attributes, each.5), each.5) AS hints,
            '' AS body,
            0 AS severity_number,
            span_actor,
            response_id AS span_response,
            trace_id, span_id, received_at
        FROM found
    ),
${llm_events};
