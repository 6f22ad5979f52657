SELECT
    user_id AS "User",
    count() AS "Calls",
    countIf(is_error) / count() AS "Error rate",
    uniqExact(service) AS "Services",
    sum(total_tokens) AS "Tokens",
    sum(cost) AS "Cost",
    toDateTime(max(timestamp)) AS "Last call"
FROM llm_calls
WHERE timestamp >= toStartOfMinute($__fromTime) AND timestamp < toStartOfMinute($__toTime) + 60
    AND user_id != ''
    AND {selection}
GROUP BY user_id
ORDER BY "Cost" DESC NULLS LAST, "Calls" DESC, user_id
LIMIT 20
