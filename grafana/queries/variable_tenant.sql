SELECT DISTINCT tenant FROM llm_calls_1m ORDER BY tenant
