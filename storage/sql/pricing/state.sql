-- Where pricing stands: the last finished run, which prices it had, what it has seen, what is there to see, and whether a sweep was
-- interrupted: it notes costs that must not change until it is finished.
SELECT
    max(run) AS run,
    argMax(llm_pricings.block, llm_pricings.run) AS block,
    argMax(llm_pricings.prices, llm_pricings.run) AS prices,
    (SELECT max(max_block_number) FROM system.parts WHERE active AND database = currentDatabase() AND table = 'llm_calls') AS newest,
    (SELECT max(sweep) FROM llm_call_repeats) > (SELECT max(sweep) FROM llm_sweeps) AS sweeping
FROM llm_pricings
