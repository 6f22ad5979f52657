-- Calls between two times with the agent that made them: its own attribute, or else the nearest ancestor in the trace that is an
-- agent. Times are arguments, so that the walk up the traces reads these alone: llm_calls_by_agent(since = ..., until = ...).
CREATE VIEW llm_calls_by_agent AS
WITH
    traces AS (
        SELECT DISTINCT tenant, trace_id
        FROM llm_calls
        WHERE timestamp >= {since:DateTime} AND timestamp < {until:DateTime} AND agent = ''
    ),
    -- A span may begin long before the calls within it: a day is what an agent is given.
    spans AS (
        SELECT
            Tenant AS tenant, TraceId AS trace_id,
            mapFromArrays(groupArray(SpanId), groupArray(ParentSpanId)) AS parents
        FROM otel_traces
        WHERE Timestamp >= {since:DateTime} - INTERVAL 1 DAY AND Timestamp < {until:DateTime} AND (Tenant, TraceId) IN traces
        GROUP BY tenant, trace_id
    ),
    agents AS (
        SELECT tenant, trace_id, mapFromArrays(groupArray(span_id), groupArray(toString(name))) AS known
        FROM llm_steps
        WHERE timestamp >= {since:DateTime} - INTERVAL 1 DAY AND timestamp < {until:DateTime} AND role = 'agent' AND (tenant, trace_id) IN traces
        GROUP BY tenant, trace_id
    )
SELECT * EXCEPT (parents, known) REPLACE (
    if(agent != '', toString(agent), known[arrayFold(
        (span, step) -> if(span = '' OR mapContains(known, span), span, parents[span]), range(32), parent_span_id)]) AS agent)
FROM llm_calls
LEFT JOIN spans USING (tenant, trace_id)
LEFT JOIN agents USING (tenant, trace_id)
WHERE timestamp >= {since:DateTime} AND timestamp < {until:DateTime};
