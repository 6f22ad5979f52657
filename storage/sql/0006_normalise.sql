-- The reference data of normalisation. Rows are loaded from storage/data and genai-prices at start
-- (storage/reference.py); the dictionaries are what the views look up.
CREATE TABLE llm_aliases (
    key String COMMENT 'attribute key as an SDK emits it',
    slot LowCardinality(String) COMMENT 'what it means here',
    priority UInt8 COMMENT 'of the keys that fill one slot the smallest number wins',
    dialect LowCardinality(String),
    rank String MATERIALIZED concat(leftPad(toString(priority), 3, '0'), slot) COMMENT 'both in one, for one look-up'
) ENGINE = MergeTree ORDER BY (slot, priority);

CREATE DICTIONARY llm_alias (key String, rank String)
PRIMARY KEY key SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_aliases')) LAYOUT(HASHED()) LIFETIME(0);

-- What OpenTelemetry, gateways and frameworks call a provider, to gen_ai.provider.name ('' drops it).
CREATE TABLE llm_providers (name String, provider String) ENGINE = MergeTree ORDER BY name;

CREATE DICTIONARY llm_provider (name String, provider String)
PRIMARY KEY name SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_providers')) LAYOUT(HASHED()) LIFETIME(0);

-- Which price a model name means: provider '' holds names that are clear without one.
CREATE TABLE llm_models (provider String, model String, price_id String) ENGINE = MergeTree ORDER BY (provider, model);

CREATE DICTIONARY llm_model (provider String, model String, price_id String)
PRIMARY KEY provider, model SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_models')) LAYOUT(COMPLEX_KEY_HASHED()) LIFETIME(0);

-- USD for one million tokens, by service tier and date. The arrays hold one element a prompt-size
-- tier: element i applies to the whole request when input_tokens > prompt_sizes[i].
CREATE TABLE llm_prices (
    price_id String,
    tier LowCardinality(String),
    valid_from DateTime,
    valid_to DateTime,
    prompt_sizes Array(Int64),
    input Array(Float64),
    cache_read Array(Float64),
    cache_write Array(Float64),
    output Array(Float64),
    per_request Float64 COMMENT 'USD for one request',
    version String,
    rates Array(Float64) MATERIALIZED arrayConcat(CAST(prompt_sizes, 'Array(Float64)'), input, cache_read, cache_write, output, [per_request])
        COMMENT 'all of the above in one, for one look-up'
) ENGINE = MergeTree ORDER BY (price_id, tier, valid_from);

CREATE DICTIONARY llm_price (
    price_id String, tier String, valid_from DateTime, valid_to DateTime, rates Array(Float64), version String
)
PRIMARY KEY price_id, tier SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_prices'))
LAYOUT(COMPLEX_KEY_RANGE_HASHED(range_lookup_strategy 'max')) RANGE(MIN valid_from MAX valid_to) LIFETIME(0);

-- Which content each reference table was last loaded from.
CREATE TABLE llm_reference (name String, version String, loaded_at DateTime64(3) DEFAULT now64(3))
ENGINE = ReplacingMergeTree(loaded_at) ORDER BY name;

CREATE MATERIALIZED VIEW llm_calls_mv TO llm_calls AS
WITH
    -- One look-up an attribute; the best key of each slot comes first, and a Map returns the first.
    named AS (
        SELECT
            * EXCEPT (ResourceAttributes, `Links.TraceId`, `Links.SpanId`, `Links.TraceState`, `Links.Attributes`),
            if(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'],
                ResourceAttributes['deployment.environment']) AS environment,
            CAST(
                arrayMap(pair -> (substring(pair.1, 4), pair.2), arraySort(pair -> pair.1, arrayFilter(
                    pair -> pair.1 != '' AND pair.2 NOT IN ('', 'None', 'null', 'undefined', '__REDACTED__', '<REDACTED>', '[]', '{}'),
                    arrayZip(arrayMap(key -> dictGet('${database}.llm_alias', 'rank', key), mapKeys(SpanAttributes)), mapValues(SpanAttributes))))),
                'Map(LowCardinality(String), String)') AS slots
        FROM otel_traces
    ),
    -- What kind of work the span is. Umbrella spans repeat the usage of their children: only leaves count.
    -- Each step refers to columns of the step before it, because an alias used twice within one SELECT is analysed
    -- twice, and this query is analysed for every insert; so is each column that a step passes on.
    classified AS (
        SELECT
            * EXCEPT (`Events.Timestamp`, `Events.Name`, `Events.Attributes`),
            arrayFirst(name -> name != '', [
                slots['vercel_operation'], slots['operation'], slots['openinference_kind'], slots['langfuse_type'],
                slots['request_type'], slots['span_type']]) AS raw_operation,
            multiIf(
                SpanName = 'raw_gen_ai_request' OR slots['guardrail'] != '' OR slots['logfire_span_type'] = 'log', '',
                match(raw_operation, '^(?:chat|text_completion|generate_content|completion|generateText|streamText|output_messages|LLM|generation|llm_request|ai\\..*\\.do(?:Generate|Stream))$'), 'llm',
                -- The AI SDK wraps each embedding in a span of the same name that has no usage.
                match(raw_operation, '^(?:embeddings|embedding|EMBEDDING|ai\\..*\\.doEmbed)$') AND (ScopeName != 'gen_ai' OR slots['input_tokens'] != ''), 'embedding',
                raw_operation IN ('rerank', 'RERANKER'), 'rerank',
                '') AS role,
            lower(slots['provider']) AS emitted_provider,
            lower(slots['service_tier']) AS emitted_tier,
            slots['finish_reasons'] AS emitted_finish,
            slots['invocation_parameters'] AS invocation_json,
            slots['langfuse_usage'] AS langfuse_json,
            slots['usage_raw'] AS raw_json,
            slots['litellm_usage'] AS litellm_repr,
            slots['ttft_mixed'] AS ttft_mixed,
            slots['model_name'] AS model_name,
            slots['input_tokens'] AS input_text,
            slots['output_tokens'] AS output_text,
            slots['cached_input_tokens'] AS cached_text,
            slots['cache_write_tokens'] AS cache_write_text,
            slots['reasoning_tokens'] AS reasoning_text,
            arrayFirst(type -> type != '', [
                slots['error_type'],
                -- A call that was retried and went well may have recorded exceptions, too.
                if(StatusCode = 'Error' OR slots['level'] = 'ERROR',
                    arrayFirst(type -> type != '', arrayMap(event -> event['exception.type'], Events.Attributes)), ''),
                if(StatusCode = 'Error' OR slots['level'] = 'ERROR', '_OTHER', '')]) AS error_type,
            arrayFirst((time, name) -> name IN (
                'First Token Stream Event', 'gen_ai.content.completion.chunk', 'llm.content.completion.chunk', 'ai.stream.firstChunk'),
                Events.Timestamp, Events.Name) AS first_token_at
        FROM named
        WHERE role != ''
    ),
    read AS (
        SELECT
            *,
            dictGetOrDefault('${database}.llm_provider', 'provider', emitted_provider, emitted_provider) AS provider,
            arrayFirst(name -> name != '', [slots['request_model'], JSONExtractString(invocation_json, 'model'), model_name]) AS request_model,
            arrayFirst(name -> name != '', [slots['response_model'], if(error_type = '', model_name, '')]) AS response_model,
            input_text != '' OR output_text != '' OR langfuse_json != '' AS has_usage,
            if(langfuse_json = '', toUInt64OrZero(input_text), arrayMax(key -> JSONExtractUInt(langfuse_json, key),
                ['prompt_tokens', 'input', 'input_tokens'])) AS emitted_input,
            if(langfuse_json = '', toUInt64OrZero(output_text), arrayMax(key -> JSONExtractUInt(langfuse_json, key),
                ['completion_tokens', 'output', 'output_tokens'])) AS output_tokens,
            multiIf(
                cached_text != '', toUInt64OrZero(cached_text),
                (langfuse_json || raw_json || litellm_repr) = '', 0,
                toUInt64OrZero(extract(langfuse_json || raw_json || litellm_repr,
                    '(?:cached_tokens|input_cached_tokens|cache_read_input_tokens)[''"]?[=:] ?(\\d+)'))) AS cached_input_tokens,
            multiIf(
                cache_write_text != '', toUInt64OrZero(cache_write_text),
                (langfuse_json || raw_json || litellm_repr) = '', 0,
                toUInt64OrZero(extract(langfuse_json || raw_json || litellm_repr, 'cache_creation_input_tokens[''"]?[=:] ?(\\d+)'))) AS cache_write_tokens,
            multiIf(
                reasoning_text != '', toUInt64OrZero(reasoning_text),
                (langfuse_json || raw_json || litellm_repr) = '', 0,
                toUInt64OrZero(extract(langfuse_json || raw_json || litellm_repr, 'reasoning_tokens[''"]?[=:] ?(\\d+)'))) AS reasoning_tokens,
            lower(slots['streaming']) IN ('true', '1') OR JSONExtractBool(invocation_json, 'stream')
                OR match(raw_operation, 'doStream$|^streamText$') AS says_streaming,
            concat(slots['http_status'], ' ', error_type, ' ', if(error_type = '_OTHER', StatusMessage, '')) AS error_text
        FROM classified
    ),
    -- Conventions differ in whether cached tokens are part of the input; here they always are.
    measured AS (
        SELECT
            *,
            if(response_model != '', response_model, request_model) AS model,
            multiIf(
                slots['token_semantics'] = 'inclusive', false,
                match(ScopeName, '^github\\.com/grafana/sigil|agento11y') OR slots['span_type'] = 'llm_request' OR position(langfuse_json, 'input_cached_tokens') > 0, true,
                emitted_input < cached_input_tokens + cache_write_tokens) AS input_was_exclusive,
            multiIf(
                slots['ttft_seconds'] != '', toFloat64OrNull(slots['ttft_seconds']),
                slots['ttft_milliseconds'] != '', toFloat64OrNull(slots['ttft_milliseconds']) / 1000,
                -- gen_ai.server.time_to_first_token has no fixed unit: a whole number of 10 or more is milliseconds. Some
                -- emit it for calls that do not stream, where it is the whole duration.
                match(ttft_mixed, '^\\d\\d+$'), toFloat64OrNull(ttft_mixed) / 1000,
                ttft_mixed != '' AND says_streaming, toFloat64OrNull(ttft_mixed),
                slots['ttft_timestamp'] != '',
                    dateDiff('microsecond', Timestamp, parseDateTime64BestEffortOrNull(trim(BOTH '"' FROM slots['ttft_timestamp']), 6)) / 1e6,
                first_token_at > Timestamp, (toUnixTimestamp64Nano(first_token_at) - toUnixTimestamp64Nano(Timestamp)) / 1e9,
                NULL) AS ttft,
            if(input_was_exclusive, emitted_input + cached_input_tokens + cache_write_tokens, emitted_input) AS input_tokens,
            -- Region prefix, vendor prefix, date and variant suffixes are not part of a model's name.
            replaceRegexpOne(
                replaceRegexpOne(lower(model), '^(?:(?:us|eu|apac|global)\\.)?(?:(?:anthropic|amazon|meta|mistral|cohere|deepseek)\\.)?(?:.*/)?', ''),
                '(?:-\\d{4}-\\d{2}-\\d{2}|[-@]\\d{8})?(?:-v\\d+(?::\\d+)?)?(?::free|:beta|:latest|-latest)?$', '') AS short_key,
            arrayFirst(id -> id != '', arrayMap(
                key -> dictGet('${database}.llm_model', 'price_id', key),
                [(provider, lower(model)), (provider, short_key), (provider, lower(request_model)), ('', lower(model)), ('', short_key)])) AS price_id
        FROM read
    ),
    priced AS (
        SELECT
            *,
            dictGet('${database}.llm_price', ('rates', 'version'),
                (price_id, if(emitted_tier != '' AND dictHas('${database}.llm_price', (price_id, emitted_tier), toDateTime(Timestamp)), emitted_tier, '')),
                toDateTime(Timestamp)) AS price
        FROM measured
    )
SELECT
    Timestamp AS timestamp,
    Tenant AS tenant,
    ServiceName AS service,
    environment,
    role,
    multiIf(
        slots['operation'] IN ('chat', 'text_completion', 'generate_content', 'embeddings', 'rerank'), slots['operation'],
        role = 'embedding', 'embeddings',
        role = 'rerank', 'rerank',
        slots['request_type'] = 'completion' OR SpanName = 'Completion', 'text_completion',
        'chat') AS operation,
    provider,
    model,
    request_model,
    if(response_model != '' OR error_type != '', response_model, request_model) AS response_model,
    input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, has_usage, input_was_exclusive,
    says_streaming OR ttft IS NOT NULL AS streaming,
    if(ttft BETWEEN 0 AND 86400, ttft, NULL) AS time_to_first_token,
    Duration / 1e9 AS duration,
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
    if(error_type = '', '', arrayFirst((class, found) -> found,
        ['rate_limit', 'overloaded', 'context_length', 'content_filter', 'timeout', 'auth', 'not_found', 'invalid_request', 'cancelled', 'connection', 'server_error', 'other'],
        arrayMap(pattern -> match(error_text, pattern), [
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
            '']))) AS error_class,
    slots['user_id'] AS user_id,
    slots['session_id'] AS session_id,
    slots['agent'] AS agent,
    slots['tool'] AS tool,
    slots['feature'] AS feature,
    slots['team'] AS team,
    slots['prompt_name'] AS prompt_name,
    slots['prompt_version'] AS prompt_version,
    slots['response_id'] AS response_id,
    -- A stream without usage has cost something nobody knows; a failed call without usage has cost nothing.
    multiIf(
        NOT has_usage AND error_type != '', 0,
        price.2 = '' OR NOT has_usage, NULL,
        -- Behind the n prompt sizes lie n prices of input, cache_read, cache_write and output each, and per_request.
        ((input_tokens - least(input_tokens, cached_input_tokens + cache_write_tokens)) * price.1[(arrayCount(size -> input_tokens > size, arraySlice(price.1, 1, intDiv(length(price.1), 5) AS n)) AS step) + n] + cached_input_tokens * price.1[step + 2 * n]
            + cache_write_tokens * price.1[step + 3 * n] + output_tokens * price.1[step + 4 * n]) / 1e6 + price.1[-1]) AS cost,
    if(slots['langfuse_cost'] != '', JSONExtract(slots['langfuse_cost'], 'total', 'Nullable(Float64)'), toFloat64OrNull(slots['reported_cost'])) AS reported_cost,
    price.2 AS price_version,
    multiIf(
        slots['langfuse_type'] != '', 'langfuse',
        slots['vercel_operation'] != '' OR ScopeName = 'gen_ai', 'vercel',
        slots['openinference_kind'] != '', 'openinference',
        slots['span_type'] = 'llm_request', 'claude-code',
        startsWith(ScopeName, 'com.anthropic.sdk'), 'anthropic-sdk',
        startsWith(ScopeName, 'github.com/grafana/'), 'agento11y',
        match(ScopeName, '^(?:logfire|pydantic-ai|openlit|litellm|strands)\\b'), extract(ScopeName, '^(?:logfire|pydantic-ai|openlit|litellm|strands)'),
        slots['request_type'] != '' OR SpanAttributes['gen_ai.is_streaming'] != ''
            OR match(ScopeName, '^opentelemetry\\.instrumentation\\.(?:openai|anthropic|bedrock|cohere|groq|mistralai|ollama|vertexai|google_generativeai|langchain)(?:\\.v\\d)?$'), 'openllmetry',
        SpanAttributes['gen_ai.provider.name'] != '', 'otel',
        SpanAttributes['gen_ai.system'] != '', 'otel-legacy',
        'other') AS dialect,
    ScopeName AS scope,
    TraceId AS trace_id,
    SpanId AS span_id,
    ParentSpanId AS parent_span_id,
    SpanName AS span_name,
    -- Only short values of keys that nothing maps; message content never comes here.
    mapFilter((key, value) -> length(value) <= 256 AND NOT dictHas('${database}.llm_alias', key) AND NOT match(key, '${content_keys}'), SpanAttributes) AS attributes,
    ReceivedAt AS received_at
FROM priced;
