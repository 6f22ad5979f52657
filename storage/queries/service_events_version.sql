SELECT concat(toString(count()), ' ', toString(max(received_at))) AS version
FROM llm_events
WHERE category = 'asset' AND kind = 'llm_hub.asset.change' AND attributes['llm_hub.asset.type'] = 'service'
