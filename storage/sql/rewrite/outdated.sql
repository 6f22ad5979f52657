-- Stored rows that do not come out like this any more.
INSERT INTO rewrite_before_${what}
SELECT *, _block_number, _block_offset
FROM llm_${what}
WHERE timestamp BETWEEN fromUnixTimestamp64Nano(${first}) - INTERVAL 1 DAY AND fromUnixTimestamp64Nano(${last})
    AND ${from_sources}
    AND cityHash64(tuple(* EXCEPT (${marks}))) NOT IN (SELECT cityHash64(tuple(* EXCEPT (${marks}))) FROM rewrite_llm_${what})
SETTINGS ${one_block}
