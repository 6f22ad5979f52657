-- What calls without a price call their models, of those inserted since; the most frequent first.
SELECT provider, lower(model) AS name
FROM llm_calls
WHERE ${part_newest} > {since:UInt64}
    AND _block_number > {since:UInt64} AND price_id = '' AND cost IS NULL AND has_usage
GROUP BY provider, name
ORDER BY count() DESC, provider, name
LIMIT {limit:UInt64}
