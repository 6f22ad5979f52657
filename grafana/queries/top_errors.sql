SELECT
    if(error_class = '', 'other', error_class) AS "Class",
    provider AS "Provider",
    model AS "Model",
    sum(errors) AS "Errors",
    uniqExact(service) AS "Services",
    max(minute) AS "Last minute"
FROM llm_calls_1m
WHERE {minutes_in_range} AND {selection} AND errors > 0
GROUP BY "Class", provider, model
ORDER BY "Errors" DESC, "Class", model
LIMIT 20
