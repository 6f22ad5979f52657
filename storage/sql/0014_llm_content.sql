-- What is redacted, as one row: arrays in the order in which they are applied. Rows: storage/data/redactions.csv and
-- the file of storage.content.policy_file. A hint is a cheap pattern without which the pattern cannot match; a check, '' or luhn, is what a match must pass.
CREATE TABLE llm_redactions (name String, hints Array(String), patterns Array(String), replacements Array(String), checks Array(String)) ENGINE = MergeTree ORDER BY name;

CREATE DICTIONARY llm_redaction (name String, hints Array(String), patterns Array(String), replacements Array(String), checks Array(String))
PRIMARY KEY name SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_redactions')) LAYOUT(COMPLEX_KEY_HASHED()) LIFETIME(0);

-- keep, mask, drop or metadata-only; an empty tenant or service stands for all of them.
CREATE TABLE llm_content_modes (tenant String, service String, mode String) ENGINE = MergeTree ORDER BY (tenant, service);

CREATE DICTIONARY llm_content_mode (tenant String, service String, mode String)
PRIMARY KEY tenant, service SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_content_modes')) LAYOUT(COMPLEX_KEY_HASHED()) LIFETIME(0);

-- What people, models and tools said leaves the attributes before anything is stored. What the normaliser reads out of
-- content stays behind as attributes of the hub's own, so that stored spans can be normalised again.
CREATE MATERIALIZED VIEW otel_traces_mv TO otel_traces AS
WITH
    looked_at AS (
        SELECT
            * EXCEPT (request_id, reason),
            ${content_possible} AS has_content,
            ${has_scope_content} AS has_scope_content,
            -- One pass over the attributes instead of a look-up for each of these.
            mapFilter((key, value) -> key IN (
                'gen_ai.output.messages', 'langfuse.observation.output', 'output.value', 'gen_ai.completion', 'gcp.vertex.agent.llm_response', 'genkit:output', 'mlflow.spanOutputs',
                'genkit:metadata:subtype', 'openinference.span.kind', 'langsmith.span.kind', 'llm.invocation_parameters',
                'error.message', 'langfuse.observation.status_message'), SpanAttributes) AS told,
            if(has_content, arrayFirst(value -> value != '', [
                told['gen_ai.output.messages'], told['langfuse.observation.output'], told['output.value'], told['gen_ai.completion'],
                told['gcp.vertex.agent.llm_response'], told['genkit:output'], told['mlflow.spanOutputs']]), '') AS answer,
            told['genkit:metadata:subtype'] = 'model' AS is_genkit,
            -- Genkit, LangSmith and MLflow pass on the response of the provider as well.
            is_genkit OR told['openinference.span.kind'] != '' OR told['langsmith.span.kind'] != '' OR ScopeName = 'mlflow.tracing.provider' AS is_openinference,
            -- Some instrumentations leave the system prompt and the tools among the parameters.
            if(is_openinference, told['llm.invocation_parameters'], '') AS parameters,
            match(parameters, '"(?:system|instructions|messages|input|prompt|contents|tools|functions|kwargs)":') AS parameters_tell,
            concat(told['error.message'], told['langfuse.observation.status_message']) != '' AS has_message,
            -- Errors quote what was said. Their texts are redacted; where content is not kept, only the words by which they are
            -- classified stay.
            concat(StatusMessage, told['error.message'], told['langfuse.observation.status_message'],
                arrayStringConcat(arrayMap(event -> concat(event['exception.message'], event['exception.stacktrace']), `Events.Attributes`))) AS error_texts,
            multiIf(
                error_texts = '', [],
                ${content_mode} IN ('keep', ''), arrayMap(
                    number -> (dictGet('${database}.llm_redaction', 'patterns', '')[number], dictGet('${database}.llm_redaction', 'replacements', '')[number]),
                    arraySort(multiMatchAllIndices(error_texts, dictGet('${database}.llm_redaction', 'hints', '')))),
                [(concat('(?is).*?(', arrayStringConcat(${error_patterns}, '|'), ')|.+'), '\\1 ')]) AS error_rules
        FROM otlp_spans
        WHERE reason = ''
    ),
    stripped AS (
        SELECT
            * REPLACE (
                -- OpenLLMetry names a task of CrewAI after its description, which is a prompt.
                if(ScopeName = 'opentelemetry.instrumentation.crewai.instrumentation' AND endsWith(SpanName, '.task'), 'crewai.task', SpanName) AS SpanName,
                -- The condition stands inside the lambda, because mapFilter is executed for all rows wherever it stands.
                mapFilter((key, value) -> NOT has_content OR (${content_rank} = '' AND NOT ${content_in_scope} AND NOT (parameters_tell AND key = 'llm.invocation_parameters')), looked_at.SpanAttributes) AS SpanAttributes,
                arrayMap((name, attributes) -> mapApply(
                    (key, said) -> (key, if(key IN ('exception.message', 'exception.stacktrace'), arrayFold((text, rule) -> replaceRegexpAll(text, rule.1, rule.2), error_rules, said), said)),
                    mapFilter((key, value) -> ${content_rank} = '' AND (
                        dictGet('${database}.llm_content_key', 'rank', concat('event:', name)) = '' OR dictGet('${database}.llm_content_key', 'rank', concat('@', key)) = ''),
                        attributes)), looked_at.`Events.Name`, looked_at.`Events.Attributes`) AS `Events.Attributes`,
                arrayFold((text, rule) -> replaceRegexpAll(text, rule.1, rule.2), error_rules, looked_at.StatusMessage) AS StatusMessage)
        FROM looked_at
    )
SELECT
    * EXCEPT (has_content, has_scope_content, told, answer, is_genkit, is_openinference, parameters, parameters_tell, has_message, error_texts, error_rules)
    REPLACE (
        if(answer != '' OR parameters_tell OR has_message,
            mapUpdate(stripped.SpanAttributes, mapConcat(CAST(mapFilter((key, value) -> value != '', map(
                'llm.invocation_parameters', if(parameters_tell, concat('{', arrayStringConcat(arrayMap(pair -> concat('"', pair.1, '":', pair.2), arrayFilter(
                    pair -> pair.1 NOT IN ('system', 'instructions', 'messages', 'input', 'prompt', 'contents', 'tools', 'functions', 'kwargs'), JSONExtractKeysAndValuesRaw(parameters))), ','), '}'), ''),
                'error.message', arrayFold((text, rule) -> replaceRegexpAll(text, rule.1, rule.2), error_rules, told['error.message']),
                'langfuse.observation.status_message', arrayFold((text, rule) -> replaceRegexpAll(text, rule.1, rule.2), error_rules, told['langfuse.observation.status_message']),
                'llm_hub.response_id', if(is_openinference AND stripped.SpanAttributes['gen_ai.response.id'] = '', ${answer_id}, ''),
                'llm_hub.response_model', if(is_openinference AND stripped.SpanAttributes['llm.response.model_name'] = '', ${answer_model}, ''),
                'llm_hub.usage', if((is_openinference AND stripped.SpanAttributes['llm.token_count.prompt_details.cache_read'] = '') OR stripped.ScopeName = 'gcp.vertex.agent', ${answer_usage}, ''),
                'llm_hub.finish_reasons', if(stripped.SpanAttributes['gen_ai.response.finish_reasons'] = '', ${answer_finish}, ''))),
                'Map(LowCardinality(String), String)'),
                -- Genkit has the counts of tokens in its output alone.
                CAST(arrayMap(pair -> (concat('genkit:usage:', pair.1), pair.2), JSONExtractKeysAndValuesRaw(if(is_genkit, answer, ''), 'usage')), 'Map(LowCardinality(String), String)'))),
            stripped.SpanAttributes) AS SpanAttributes
    ),
    true AS FromHub
FROM stripped;

CREATE MATERIALIZED VIEW otel_logs_mv TO otel_logs AS
WITH
    named AS (
        SELECT
            * EXCEPT (request_id, reason),
            arrayFirst(name -> name != '', [toString(EventName), LogAttributes['event.name'], LogAttributes['event_name'], Body]) AS name,
            dictGet('${database}.llm_content_key', 'rank', concat('event:', name)) != '' AS is_content
        FROM otlp_log_records
        WHERE reason = ''
    )
SELECT
    * EXCEPT (name, is_content)
    REPLACE (
        if(is_content AND NOT endsWith(name, named.Body) AND NOT endsWith(named.Body, name), '', named.Body) AS Body,
        mapConcat(
            mapFilter((key, value) -> ${content_rank} = '' AND NOT (is_content AND dictGet('${database}.llm_content_key', 'rank', concat('@', key)) != ''), named.LogAttributes),
            CAST(mapFilter((key, value) -> value != '', map('llm_hub.finish_reasons', if(is_content AND named.Body != '', JSONExtractString(named.Body, 'finish_reason'), ''))),
                'Map(LowCardinality(String), String)')) AS LogAttributes
    )
FROM named;

-- The messages of a call on their way.
CREATE TABLE llm_messages (
    tenant LowCardinality(String),
    service LowCardinality(String),
    timestamp DateTime64(9),
    trace_id String,
    span_id String,
    source LowCardinality(String) COMMENT 'span or log',
    directions Array(LowCardinality(String)) COMMENT 'first letters',
    roles Array(String),
    lengths Array(UInt64),
    texts Array(String),
    hashes Array(String),
    received_at DateTime64(3)
) ENGINE = Null;

-- Spans that may have content: few views look at those that have none, see llm_step_spans.
CREATE TABLE llm_content_spans AS otlp_spans ENGINE = Null;

CREATE MATERIALIZED VIEW llm_content_spans_mv TO llm_content_spans AS
SELECT Timestamp, Tenant, ServiceName, ScopeName, TraceId, SpanId, ReceivedAt, SpanAttributes, `Events.Name`, `Events.Attributes`
FROM otlp_spans
WHERE reason = '' AND (${content_possible} OR arrayExists(name -> dictHas('${database}.llm_content_key', concat('event:', name)), `Events.Name`));

CREATE MATERIALIZED VIEW llm_span_messages_mv TO llm_messages AS
WITH
    found AS (
        SELECT
            Timestamp, Tenant, ServiceName, TraceId, SpanId, ReceivedAt, `Events.Name`, `Events.Attributes`,
            ${has_scope_content} AS has_scope_content,
            mapFromArrays(arrayMap(key -> if(${content_in_scope}, concat(ScopeName, ':', key), key), mapKeys(SpanAttributes)), mapValues(SpanAttributes)) AS named,
            mapFilter((key, value) -> ${content_rank} != '' AND value NOT IN ('', 'None', 'null', '[]', '{}', '""', '__REDACTED__', '<REDACTED>'), named) AS content,
            ${content_mode} AS mode
        FROM llm_content_spans
    ),
    pieced AS (
        SELECT
            Tenant AS tenant, ServiceName AS service, Timestamp AS timestamp, TraceId AS trace_id, SpanId AS span_id, 'span' AS source, mode, ReceivedAt AS received_at,
            arrayConcat(
                ${content_pieces},
                arrayFlatten(arrayMap((name, attributes, number) -> arrayFilter(piece -> piece.1 != '' AND piece.4 != '', arrayMap(
                    (key, value, own) -> (
                        multiIf(own != '', own, key = 'role' OR dictHas('${database}.llm_content_key', concat('@', key)), dictGet('${database}.llm_content_key', 'rank', concat('event:', name)), ''),
                        if(own != '', '', leftPad(toString(number), 5, '0')), key, value),
                    mapKeys(attributes), mapValues(attributes), arrayMap(key -> ${content_rank}, mapKeys(attributes)))), `Events.Name`, `Events.Attributes`, arrayEnumerate(`Events.Name`)))) AS pieces
        FROM found
        WHERE mode NOT IN ('drop', '') AND (notEmpty(content) OR notEmpty(`Events.Name`))
    ),
${messages};

CREATE MATERIALIZED VIEW llm_log_messages_mv TO llm_messages AS
WITH
    found AS (
        SELECT
            *,
            mapFilter((key, value) -> ${content_rank} != '' AND value NOT IN ('', 'None', 'null', '[]', '{}', '""', '__REDACTED__', '<REDACTED>'), LogAttributes) AS content,
            arrayFirst(name -> name != '', [toString(EventName), LogAttributes['event.name'], LogAttributes['event_name'], Body]) AS name,
            dictGet('${database}.llm_content_key', 'rank', concat('event:', name)) AS event_rank,
            dictGet('${database}.llm_content_key', 'role', concat('event:', name)) AS event_role,
            event_rank != '' AND Body NOT IN ('', 'null', '{}', '""') AND NOT endsWith(name, Body) AND NOT endsWith(Body, name) AS has_body,
            -- Within a call messages stand in the order of their time, and in that of their arrival.
            concat(toString(toUnixTimestamp64Nano(Timestamp)), leftPad(toString(rowNumberInAllBlocks()), 8, '0')) AS place,
            ${content_mode} AS mode
        FROM otlp_log_records
        WHERE reason = '' AND (event_rank != '' OR notEmpty(content)) AND mode NOT IN ('drop', '')
    ),
    pieced AS (
        SELECT
            Tenant AS tenant, ServiceName AS service, min(Timestamp) AS timestamp, TraceId AS trace_id, SpanId AS span_id, 'log' AS source, any(mode) AS mode, max(ReceivedAt) AS received_at,
            -- What several records of a call say are no repetitions of each other: all have the same preference.
            groupArrayArray(arrayMap(
                piece -> (concat(substring(piece.1, 1, 1), '00'), if(piece.2 = '', '', concat(place, piece.2)), if(piece.2 = '', concat(place, piece.3), piece.3), piece.4),
                if(has_body,
                    [(event_rank, '', '', if(event_role != '' AND startsWith(Body, '{') AND NOT JSONHas(Body, 'role'), concat('{"role":"', event_role, '",', substring(Body, 2)), Body))],
                    arrayConcat(
                        ${content_pieces},
                        arrayMap((key, value) -> (event_rank, '0', key, value),
                            mapKeys(mapFilter((key, value) -> event_rank != '' AND value != '' AND dictHas('${database}.llm_content_key', concat('@', key)), LogAttributes) AS spoken), mapValues(spoken)))))) AS pieces
        FROM found
        GROUP BY tenant, service, trace_id, span_id, if(SpanId = '', place, '')
    ),
${messages};

-- Each message once a day, however many calls repeat it.
CREATE TABLE llm_content (
    day Date COMMENT 'of the calls',
    tenant LowCardinality(String),
    hash String COMMENT 'of tenant, mode, role and text',
    role LowCardinality(String),
    length UInt32 COMMENT 'characters, after redaction',
    text String CODEC(ZSTD(3)),
    last_seen DateTime64(3) CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree(last_seen)
PARTITION BY day
ORDER BY (tenant, hash)
TTL day + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456, merge_selector_base = 10, non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW llm_content_mv TO llm_content AS
SELECT toDate(timestamp) AS day, tenant, hash, any(role) AS role, any(length) AS length, any(text) AS text, max(received_at) AS last_seen
FROM llm_messages
ARRAY JOIN hashes AS hash, roles AS role, lengths AS length, texts AS text
GROUP BY day, tenant, hash;

-- Which messages a call had, in order. Sorted by the messages: the calls of a conversation, each of which repeats what was said
-- before, come to lie beside each other and compress to what is new.
CREATE TABLE llm_call_messages (
    timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    tenant LowCardinality(String),
    service LowCardinality(String),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    source LowCardinality(String) COMMENT 'span or log',
    system Array(String) CODEC(ZSTD(1)),
    tools Array(String) CODEC(ZSTD(1)),
    input Array(String) CODEC(ZSTD(1)),
    output Array(String) CODEC(ZSTD(1)),
    INDEX idx_trace_id trace_id TYPE bloom_filter(0.001) GRANULARITY 1
) ENGINE = MergeTree
PARTITION BY toDate(timestamp)
PRIMARY KEY (tenant, service)
ORDER BY (tenant, service, input, timestamp)
TTL toDate(timestamp) + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456, merge_selector_base = 10, non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW llm_call_messages_mv TO llm_call_messages AS
SELECT
    timestamp, tenant, service, trace_id, span_id, source,
    arrayFilter((hash, direction) -> direction = 's', hashes, directions) AS system,
    arrayFilter((hash, direction) -> direction = 't', hashes, directions) AS tools,
    arrayFilter((hash, direction) -> direction = 'i', hashes, directions) AS input,
    arrayFilter((hash, direction) -> direction = 'o', hashes, directions) AS output
FROM llm_messages;

-- A look-up by key, which reads these few rows and not the table.
CREATE DICTIONARY llm_content_text (tenant String, hash String, role String, length UInt32, text String)
PRIMARY KEY tenant, hash SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_content')) LAYOUT(COMPLEX_KEY_DIRECT());

CREATE VIEW llm_call_content AS
WITH
    messages AS (
        SELECT
            timestamp, tenant, service, trace_id, span_id, source, message.1 AS direction, message.2 AS position, message.3 AS hash
        FROM llm_call_messages
        ARRAY JOIN arrayConcat(
            arrayMap((hash, position) -> ('system', position, hash), system, arrayEnumerate(system)),
            arrayMap((hash, position) -> ('tools', position, hash), tools, arrayEnumerate(tools)),
            arrayMap((hash, position) -> ('input', position, hash), input, arrayEnumerate(input)),
            arrayMap((hash, position) -> ('output', position, hash), output, arrayEnumerate(output))) AS message
    )
SELECT
    timestamp, tenant, service, trace_id, span_id, source, direction, position, found.1 AS role, found.2 AS length, found.3 AS text, hash
FROM (SELECT *, dictGet('${database}.llm_content_text', ('role', 'length', 'text'), (toString(tenant), hash)) AS found FROM messages);
