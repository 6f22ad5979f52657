-- Steps that come out different now.
INSERT INTO rewrite_changed_steps
SELECT * REPLACE (${rewrite} AS rewrite)
FROM rewrite_llm_steps
WHERE ${from_sources}
    AND cityHash64(tuple(* EXCEPT (${marks}))) NOT IN (
        SELECT cityHash64(tuple(* EXCEPT (${marks})))
        FROM llm_steps
        WHERE timestamp BETWEEN fromUnixTimestamp64Nano(${first}) - INTERVAL 1 DAY AND fromUnixTimestamp64Nano(${last}) AND ${from_sources})
SETTINGS ${one_block}
