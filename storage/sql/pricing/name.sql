-- Which price each call has. A patch beside the rows, instead of a mutation, which would write whole parts again.
UPDATE llm_calls
SET price_id = (${short_key} AS short_key, ${price_id} AS found_id).2
WHERE timestamp IN (SELECT timestamp FROM llm_call_pricings WHERE run = ${run})
    AND (_block_number, _block_offset) IN (SELECT block_number, block_offset FROM llm_call_pricings WHERE run = ${run})
    AND cost IS NULL
