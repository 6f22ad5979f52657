-- A mark beside the rows, written like an insert, instead of a mutation, which would write whole parts again.
DELETE FROM ${database}.llm_calls
WHERE timestamp IN (SELECT timestamp FROM ${database}.llm_call_repeats WHERE sweep = ${sweep})
    AND (_block_number, _block_offset) IN (SELECT block_number, block_offset FROM ${database}.llm_call_repeats WHERE sweep = ${sweep})
SETTINGS lightweight_delete_mode = 'lightweight_update'
