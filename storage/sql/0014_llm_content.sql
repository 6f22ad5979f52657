-- What people, models and tools said leaves the attributes before anything is stored. What the normaliser reads out of
-- content stays behind as attributes of the hub's own, so that stored spans can be normalised again.
CREATE MATERIALIZED VIEW otel_traces_mv TO otel_traces AS
WITH
    looked_at AS (
        SELECT
            * EXCEPT (request_id, reason),
            ${content_possible} AS has_content,
            if(has_content, arrayFirst(value -> value != '', [
                SpanAttributes['gen_ai.output.messages'], SpanAttributes['langfuse.observation.output'],
                SpanAttributes['output.value'], SpanAttributes['gen_ai.completion']]), '') AS answer
        FROM otlp_spans
        WHERE reason = ''
    ),
    stripped AS (
        SELECT
            * REPLACE (
                -- The condition stands inside the lambda, because mapFilter is executed for all rows wherever it stands.
                mapFilter((key, value) -> NOT has_content OR ${content_rank} = '', looked_at.SpanAttributes) AS SpanAttributes,
                arrayMap((name, attributes) -> mapFilter((key, value) -> ${content_rank} = '' AND (
                    dictGet('${database}.llm_content_key', 'rank', concat('event:', name)) = '' OR dictGet('${database}.llm_content_key', 'rank', concat('@', key)) = ''),
                    attributes), looked_at.`Events.Name`, looked_at.`Events.Attributes`) AS `Events.Attributes`)
        FROM looked_at
    )
SELECT
    * EXCEPT (has_content, answer)
    REPLACE (
        if(answer != '',
            mapConcat(stripped.SpanAttributes, CAST(mapFilter((key, value) -> value != '', map(
                'llm_hub.response_id', if(stripped.SpanAttributes['openinference.span.kind'] != '' AND stripped.SpanAttributes['gen_ai.response.id'] = '', JSONExtractString(answer, 'id'), ''),
                'llm_hub.finish_reasons', if(stripped.SpanAttributes['gen_ai.response.finish_reasons'] = '', extract(answer, '"finish_reason": ?"(\\w+)"'), ''))),
                'Map(LowCardinality(String), String)')),
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
