-- Which log events are business and security events, and of what kind. Rows: storage/data/events.csv.
CREATE TABLE llm_event_names (event_name String, category LowCardinality(String)) ENGINE = MergeTree ORDER BY event_name;

CREATE DICTIONARY llm_event_name (event_name String, category String)
PRIMARY KEY event_name SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_event_names')) LAYOUT(HASHED()) LIFETIME(0);

CREATE MATERIALIZED VIEW llm_events_mv TO llm_events AS
WITH
    -- The name of an event is a field of the record, or one of two attributes of older emitters.
    named AS (
        SELECT
            *,
            arrayFirst(name -> name != '', [toString(EventName), LogAttributes['event.name'], LogAttributes['event_name']]) AS name,
            dictGet('${database}.llm_event_name', 'category', name) AS kind
        FROM otel_logs
        WHERE kind != ''
    )
SELECT
    Timestamp AS timestamp,
    Tenant AS tenant,
    ServiceName AS service,
    if(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'],
        ResourceAttributes['deployment.environment']) AS environment,
    name AS event_name,
    kind AS category,
    -- Severity numbers: https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber
    multiIf(
        LogAttributes['llm_hub.event.severity'] != '', LogAttributes['llm_hub.event.severity'],
        SeverityNumber >= 21, 'critical', SeverityNumber >= 17, 'high', SeverityNumber >= 13, 'medium', SeverityNumber >= 10, 'low', 'info') AS severity,
    arrayFirst(value -> value != '', arrayMap(key -> LogAttributes[key], [
        'llm_hub.security.action', 'llm_hub.policy.decision', 'llm_hub.approval.status', 'llm_hub.budget.action', 'llm_hub.compliance.result',
        'llm_hub.asset.change', 'llm_hub.audit.action', 'llm_hub.data_subject.status', 'gen_ai.guardrail.result.value', 'gen_ai.evaluation.score.label', 'decision', 'action'])) AS action,
    arrayFirst(value -> value IS NOT NULL, arrayMap(key -> toFloat64OrNull(LogAttributes[key]), [
        'gen_ai.evaluation.score.value', 'gen_ai.guardrail.risk.score', 'llm_hub.budget.ratio', 'llm_hub.cost.amount'])) AS score,
    arrayFirst(value -> value != '', arrayMap(key -> LogAttributes[key], ['user.id', 'llm_hub.approver.id', 'gen_ai.agent.name'])) AS actor,
    arrayFirst(value -> value != '', arrayMap(key -> LogAttributes[key], [
        'llm_hub.target.id', 'llm_hub.object.id', 'llm_hub.asset.id', 'llm_hub.budget.id', 'gen_ai.tool.call.id', 'gen_ai.evaluation.name', 'tool_name'])) AS object,
    arrayFirst(value -> value != '', arrayMap(key -> LogAttributes[key], [
        'gen_ai.guardrail.policy.id', 'llm_hub.policy.id', 'llm_hub.compliance.control.id', 'microsoft.security.policy.id'])) AS policy_id,
    Body AS body,
    TraceId AS trace_id,
    SpanId AS span_id,
    LogAttributes AS attributes,
    ReceivedAt AS received_at
FROM named;
