-- One patch part a month: readers see all of it or nothing, up to the rows that fit into a block.
UPDATE llm_calls
SET previous_cost = cost, cost = (${repriced}).1, price_version = (${repriced}).2, price_id = (${repriced}).3, rewrite = ${rewrite}
WHERE ${calls} AND rewrite != ${rewrite} AND ${is_changed}
SETTINGS ${one_block}
