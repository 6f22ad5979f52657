SELECT
    timestamp AS time,
    event_name AS title,
    concat(severity, ' ', action, ' ', object) AS text,
    concat(category, ',', service) AS tags
FROM llm_events
WHERE timestamp >= $__fromTime AND timestamp <= $__toTime
    AND (severity IN ('high', 'critical') OR category = 'asset')
    AND tenant IN (${tenant:singlequote})
    AND $__conditionalAll(environment IN (${environment:singlequote}), $environment)
    AND $__conditionalAll(service IN (${service:singlequote}), $service)
ORDER BY time DESC
LIMIT 200
