-- Which price each call has, and what it costs: the same expressions as when a call comes in. Names are new seldom enough to write
-- the parts again, and no reader has to put patches together.
ALTER TABLE llm_calls
    UPDATE price_id = (${short_key} AS short_key, ${price_id} AS found_id).2
    WHERE timestamp IN (SELECT timestamp FROM llm_call_pricings WHERE run = ${run})
        AND (_block_number, _block_offset) IN (SELECT block_number, block_offset FROM llm_call_pricings WHERE run = ${run})
        AND cost IS NULL,
    UPDATE price_version = (${price} AS price).4, cost = (${price} AS price, ${cost}).2
    WHERE timestamp IN (SELECT timestamp FROM llm_call_pricings WHERE run = ${run})
        AND (_block_number, _block_offset) IN (SELECT block_number, block_offset FROM llm_call_pricings WHERE run = ${run})
        AND cost IS NULL
SETTINGS mutations_sync = 2, allow_nondeterministic_mutations = 1
