SELECT greatest(0, dateDiff('second', max(last_received_at), now())) AS "Last call"
FROM llm_calls_1m
WHERE {selection}
HAVING count() > 0
