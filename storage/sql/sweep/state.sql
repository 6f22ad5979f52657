-- Where the sweep stands: the last finished one, what it has seen, what is there to see.
SELECT
    max(sweep) AS sweep,
    argMax(llm_sweeps.block, llm_sweeps.sweep) AS block,
    (SELECT max(max_block_number) FROM system.parts WHERE active AND database = currentDatabase() AND table = 'llm_calls') AS newest
FROM llm_sweeps
