-- Which events of logs and spans are business and security events, and of what kind. Rows: storage/data/events.csv.
CREATE TABLE llm_event_names (
    event_name String COMMENT 'as an SDK emits it',
    kind LowCardinality(String) COMMENT 'the name under which all that mean the same are found',
    category LowCardinality(String)
) ENGINE = MergeTree ORDER BY event_name;

CREATE DICTIONARY llm_event_name (event_name String, kind String, category String)
PRIMARY KEY event_name SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_event_names')) LAYOUT(HASHED()) LIFETIME(0);

-- Which attribute of an event means what. Rows: storage/data/event_attributes.csv.
CREATE TABLE llm_event_attributes (
    key String COMMENT 'attribute key as an SDK emits it',
    slot LowCardinality(String) COMMENT 'what it means here; content: never stored',
    priority UInt8 COMMENT 'of the keys that fill one slot the smallest number wins',
    rank String MATERIALIZED concat(leftPad(toString(priority), 3, '0'), slot) COMMENT 'both in one, for one look-up'
) ENGINE = MergeTree ORDER BY (slot, priority);

CREATE DICTIONARY llm_event_attribute (key String, slot String, rank String)
PRIMARY KEY key SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_event_attributes')) LAYOUT(HASHED()) LIFETIME(0);

-- What emitters say and what it is here, in lower case. Rows: storage/data/event_values.csv.
CREATE TABLE llm_event_values (
    slot LowCardinality(String) COMMENT 'an action has its category before it, as in security.action',
    value String,
    normal String,
    lookup String MATERIALIZED concat(slot, '\n', value)
) ENGINE = MergeTree ORDER BY (slot, value);

CREATE DICTIONARY llm_event_value (lookup String, normal String)
PRIMARY KEY lookup SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_event_values')) LAYOUT(HASHED()) LIFETIME(0);

CREATE MATERIALIZED VIEW llm_log_events_mv TO llm_events AS
WITH
    records AS (
        SELECT
            Timestamp AS timestamp,
            Tenant AS tenant,
            ServiceName AS service,
            if(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'],
                ResourceAttributes['deployment.environment']) AS environment,
            'log' AS source,
            -- The name of an event is a field of the record, one of two attributes of older emitters, or the body.
            arrayFirst(name -> dictHas('${database}.llm_event_name', name), [
                toString(EventName), LogAttributes['event.name'], LogAttributes['event_name'], Body]) AS event_name,
            dictGet('${database}.llm_event_name', 'kind', event_name) AS kind,
            LogAttributes AS native,
            LogAttributes AS hints,
            -- A body that is a structure may hold messages.
            if(length(Body) > 1024 OR match(Body, '^\\s*[\\[{]'), '', Body) AS body,
            SeverityNumber AS severity_number,
            '' AS span_actor,
            '' AS span_response,
            TraceId AS trace_id,
            SpanId AS span_id,
            ReceivedAt AS received_at
        FROM otel_logs
        WHERE kind != ''
    ),
${llm_events};

-- Each result once: what a log record tells of a span is not told by the span again.
CREATE VIEW llm_events_once AS
SELECT *
FROM llm_events
WHERE source = 'log' OR (tenant, kind, trace_id, span_id, object) NOT IN (
    SELECT tenant, kind, trace_id, span_id, object FROM llm_events WHERE source = 'log' AND span_id != '');
