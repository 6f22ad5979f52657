-- Expects a CTE `records`: a row an event, `native` being its attributes and `hints` those to read, its span's among them.
    sorted AS (
        SELECT
            *,
            dictGet('${database}.llm_event_name', 'category', kind) AS category,
            -- One look-up an attribute; the best key of each slot comes first, and a Map returns the first.
            CAST(
                arrayMap(pair -> (substring(pair.1, 4), pair.2), arraySort(pair -> pair.1, arrayFilter(pair -> pair.1 != '' AND pair.2 != '',
                    arrayZip(arrayMap(key -> dictGet('${database}.llm_event_attribute', 'rank', key), mapKeys(hints)), mapValues(hints))))),
                'Map(String, String)') AS slots
        FROM records
    ),
    said AS (
        SELECT
            * EXCEPT (hints),
            -- A number, as a level of severity is, is no action.
            if(match(slots['action'], '^[0-9.]*$'), '', lower(slots['action'])) AS emitted_action,
            lower(slots['severity']) AS emitted_severity,
            lower(slots['stage']) AS emitted_stage,
            -- The first word of a list, in one spelling: '["Prompt Injection"]' is prompt_injection.
            if(category = 'security', replaceRegexpAll(lower(extract(slots['security_category'], '[A-Za-z][A-Za-z0-9 _-]*')), '[ -]+', '_'), '') AS emitted_risk,
            dictGetOrDefault('${database}.llm_event_value', 'normal', concat(category, '.action\n', emitted_action), emitted_action) AS action
        FROM sorted
    )
SELECT
    timestamp, tenant, service, environment, source, event_name, kind, category,
    -- Severity numbers: https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber
    multiIf(
        emitted_severity != '', dictGetOrDefault('${database}.llm_event_value', 'normal', concat('severity\n', emitted_severity), emitted_severity),
        severity_number >= 21, 'critical', severity_number >= 17, 'high', severity_number >= 13, 'medium', severity_number >= 10, 'low',
        severity_number = 0 AND category = 'security' AND action IN ('block', 'redact', 'escalate'), 'medium',
        'info') AS severity,
    action,
    dictGetOrDefault('${database}.llm_event_value', 'normal', concat('security_category\n', emitted_risk), if(emitted_risk = '', '', 'other')) AS security_category,
    dictGetOrDefault('${database}.llm_event_value', 'normal', concat('stage\n', emitted_stage), emitted_stage) AS stage,
    if(match(slots['score'], '^[-+.0-9]'), toFloat64OrNull(slots['score']), NULL) AS score,
    if(slots['actor'] != '', slots['actor'], span_actor) AS actor,
    slots['object'] AS object,
    slots['policy_id'] AS policy_id,
    body,
    if(slots['response_id'] != '', slots['response_id'], span_response) AS response_id,
    trace_id,
    span_id,
    mapFilter((key, value) -> length(value) <= 1024 AND dictGet('${database}.llm_event_attribute', 'slot', key) != 'content' AND ${content_rank} = '', native) AS attributes,
    received_at
FROM said
-- A span that only may have told a result, and a call without a cost, are no events.
WHERE slots['score'] != '' OR slots['action'] != '' OR NOT (kind = 'llm_hub.cost.recorded' OR (kind = 'gen_ai.evaluation.result' AND source = 'span'))
