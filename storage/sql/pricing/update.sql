-- What they cost: the same expressions as when a call comes in.
UPDATE llm_calls
SET
    price_version = (${price} AS price).4,
    cost = (${price} AS price, ${cost}).2
WHERE timestamp IN (SELECT timestamp FROM llm_call_pricings WHERE run = ${run})
    AND (_block_number, _block_offset) IN (SELECT block_number, block_offset FROM llm_call_pricings WHERE run = ${run})
    AND cost IS NULL
