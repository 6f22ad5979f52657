INSERT INTO ${database}.llm_sweeps (sweep, block, repeats) VALUES (${sweep}, ${block}, ${repeats})
