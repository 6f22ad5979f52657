INSERT INTO llm_pricings (run, block, prices, calls) VALUES (${run}, ${block}, '${prices}', ${calls})
