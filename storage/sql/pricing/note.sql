-- The calls without a cost that would have one by now, of those inserted since.
INSERT INTO llm_call_pricings (run, block_number, block_offset, timestamp)
WITH
    unpriced AS (
        SELECT _block_number, _block_offset, timestamp, tenant, provider, model, request_model, service_tier, ${short_key} AS short_key
        FROM llm_calls
        WHERE ${part_newest} > ${since}
            AND _block_number > ${since} AND cost IS NULL AND has_usage
    ),
    named AS (SELECT *, ${price_id} AS price_id FROM unpriced)
SELECT ${run}, _block_number, _block_offset, timestamp
FROM named
WHERE (${price}).4 != ''
LIMIT ${batch}
