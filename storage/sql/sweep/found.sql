SELECT count() AS repeats, uniqExact(toStartOfMinute(timestamp)) AS minutes
FROM llm_call_repeats
WHERE sweep = {sweep:UInt64}
