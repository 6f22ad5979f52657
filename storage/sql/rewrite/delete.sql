-- A mark beside the rows, written like an insert, as the sweep does it.
DELETE FROM llm_${what}
WHERE timestamp IN (SELECT timestamp FROM rewrite_before_${what})
    AND (_block_number, _block_offset) IN (SELECT block_number, block_offset FROM rewrite_before_${what})
SETTINGS lightweight_delete_mode = 'lightweight_update', ${one_block}
