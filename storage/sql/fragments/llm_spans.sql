    slotted AS (
        SELECT
            * EXCEPT (SpanAttributes, ResourceAttributes, TraceState, ScopeVersion, `Links.TraceId`, `Links.SpanId`, `Links.TraceState`, `Links.Attributes`),
            SpanAttributes AS attributes,
            arrayFirst(name -> name != '', [
                ResourceAttributes['deployment.environment.name'], ResourceAttributes['deployment.environment'], SpanAttributes['langfuse.environment']]) AS environment,
            -- Some give a failed span nothing but its name and the error.
            if(length(SpanAttributes) <= 2 AND match(ScopeName, '^(?:openlit|opentelemetry)\\.instrumentation\\.|^gcp\\.vertex\\.agent$') AND match(SpanName, '^(?:call_llm$|(?:chat|text_completion|embeddings|generate_content) )'),
                CAST(map('operation', if(SpanName = 'call_llm', 'generate_content', substringIndex(SpanName, ' ', 1)), 'request_model', extract(SpanName, ' (\\S+)$'), 'provider', if(SpanName = 'call_llm', ScopeName, ''), 'error_type', SpanAttributes['error.type']), 'Map(LowCardinality(String), String)'),
                ${slots}) AS slots
        FROM spans
    ),
    -- Each step refers to columns of the step before it, because an alias used twice within one SELECT is analysed
    -- twice, and this query is analysed for every insert; so is each column that a step passes on.
    hinted AS (
        SELECT
            *,
            arrayFirst(value -> dictHas('${database}.llm_operation', value), arrayMap(value -> lower(value), [
                ${emitted_operations}, if(ScopeName IN ('pydantic-ai', 'mistralai_sdk_tracer', 'logfire.openai_agents'), SpanName, '')])) AS hint,
            dictGet('${database}.llm_operation', 'role', hint) AS hinted_role,
            slots['input_tokens'] != '' OR slots['output_tokens'] != '' OR slots['langfuse_usage'] != '' AS says_usage,
            slots['request_model'] != '' OR slots['response_model'] != '' OR slots['model_name'] != '' AS says_model,
            startsWith(ScopeName, 'logfire') AND slots['logfire_span_type'] = 'log' AS is_stream_end,
            slots['openinference_kind'] != '' OR ScopeName IN ('langsmith', 'mlflow.tracing.provider') AS is_openinference,
            slots['output_content'] AS answer
        FROM slotted
    ),
    -- What kind of work the span is. Umbrella spans repeat the usage of their children: only leaves count.
    classified AS (
        SELECT
            *,
            multiIf(
                -- Logfire tells of each span that begins by one that repeats it.
                SpanName IN ('raw_gen_ai_request', 'Received Proxy Server Request') OR slots['logfire_span_type'] = 'pending_span', '',
                slots['guardrail'] != '', 'guardrail',
                -- The server's side of a tool call is the same tool call again.
                slots['mcp_method'] != '' AND (SpanKind = 'Server' OR hinted_role != 'tool'), 'mcp',
                -- Logfire ends the span of a stream when the stream begins; a record without length brings usage and duration.
                startsWith(ScopeName, 'logfire') AND hinted_role = 'llm' AND NOT is_stream_end AND NOT says_usage
                    AND slots['response_id'] = '' AND StatusCode != 'Error', 'umbrella',
                -- The AI SDK wraps each embedding in a span of the same name that has no usage.
                hinted_role = 'embedding' AND ScopeName = 'gen_ai' AND NOT says_usage, 'umbrella',
                -- Llama-index marks its preparations as LLM, too.
                hinted_role = 'llm' AND ScopeName = 'openinference.instrumentation.llama_index' AND StatusCode != 'Error' AND NOT says_usage AND slots['response_id'] = '' AND slots['finish_reasons'] = '', 'umbrella',
                hinted_role != '', hinted_role,
                says_usage AND says_model, 'llm',
                -- LiteLLM's proxy copies the asked model on all its spans.
                attributes['litellm.api_key.hash'] != '', '',
                says_usage OR says_model OR arrayExists(key -> match(key, '(?i)(?:^|[._-])(?:llm|gen_?ai|prompt|completion|tokens)(?:[._-]|$)'), mapKeys(attributes)), 'unmapped',
                arrayExists(name -> dictHas('${database}.llm_event_name', name), Events.Name), 'carrier',
                '') AS role,
            arrayFirst(type -> type != '', [
                slots['error_type'],
                -- A call that was retried and went well may have recorded exceptions, too.
                -- LangSmith marks a run as good when it begins, and that stays.
                if(StatusCode = 'Error' OR slots['level'] IN ('ERROR', '17') OR startsWith(ScopeName, 'langsmith'),
                    arrayFirst(type -> type != '', arrayMap(event -> event['exception.type'], Events.Attributes)), ''),
                -- Some tell of a failure by the reason alone.
                if(StatusCode = 'Error' OR slots['level'] IN ('ERROR', '17') OR slots['finish_reasons'] IN ('error', '["error"]') OR slots['span_type'] = 'llm_request' AND slots['success'] = 'false', '_OTHER', ''),
                -- Mistral's SDK leaves it at the status of HTTP.
                if(ScopeName = 'mistralai_sdk_tracer' AND match(slots['http_status'], '^[45]\\d\\d$'), slots['http_status'], '')]) AS error_type
        FROM hinted
        WHERE role != ''
    )
SELECT
    if(is_stream_end, Timestamp - toIntervalNanosecond(duration), Timestamp) AS timestamp,
    Tenant AS tenant,
    ServiceName AS service,
    environment,
    'span' AS source,
    role,
    -- OpenInference has one kind for chats and completions.
    multiIf(
        hint = 'llm' AND SpanName = 'Completion', 'text_completion',
        hint != '', dictGet('${database}.llm_operation', 'operation', hint),
        role = 'mcp', slots['mcp_method'],
        role = 'guardrail', 'apply_guardrail',
        'chat') AS operation,
    slots,
    attributes,
    arrayFilter(event -> dictHas('${database}.llm_event_name', event.2), arrayZip(Events.Timestamp, Events.Name, Events.Attributes)) AS events,
    if(is_stream_end, toUInt64(1e9 * least(toFloat64OrZero(slots['duration_seconds']), 86400)), Duration) AS duration,
    arrayFirst((time, name) -> name IN (
        'First Token Stream Event', 'gen_ai.content.completion.chunk', 'llm.content.completion.chunk', 'ai.stream.firstChunk', 'mlflow.chunk.item.0', 'new_token'),
        Events.Timestamp, Events.Name) AS first_token_at,
    error_type,
    if(error_type = '', '', concat(StatusMessage, ' ', slots['error_message'], ' ', arrayFirst(text -> text != '', arrayMap(event -> event['exception.message'], Events.Attributes)))) AS error_text,
    if(slots['finish_reasons'] != '', '', arrayFirst(reason -> reason != '', [
        arrayFirst(reason -> reason != '', arrayMap(event -> event['finish_reason'], Events.Attributes)),
        ${answer_finish}])) AS finish_reason,
    -- OpenInference has the id of a response in the response alone.
    multiIf(
        slots['response_id'] != '', slots['response_id'],
        NOT is_openinference, '',
        ${answer_id}) AS response_id,
    if(slots['request_id'] != '', slots['request_id'], response_id) AS call_key,
    4 * match(ScopeName, '^com\\.anthropic\\.sdk|^mistralai_sdk_tracer$') + 2 * (NOT says_usage) + (slots['cached_input_tokens'] = '') AS preference,
    TraceId AS trace_id,
    SpanId AS span_id,
    ParentSpanId AS parent_span_id,
    SpanName AS span_name,
    ScopeName AS scope,
    ReceivedAt AS received_at
FROM classified
