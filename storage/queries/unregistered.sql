SELECT tenant, service, sum(llm_calls_1m.calls) AS calls
FROM llm_calls_1m
WHERE minute >= today() - {days:UInt32} AND NOT dictHas('llm_service', (tenant, service)) AND service != ''
GROUP BY tenant, service
ORDER BY calls DESC
LIMIT {most:UInt32}
