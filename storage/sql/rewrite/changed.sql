-- Rows that come out different now. Of copies of one call the sweep keeps one, and so does this: the one that is stored.
INSERT INTO rewrite_changed_${what}
WITH stored AS (
    SELECT cityHash64(tuple(* EXCEPT (${marks})))
    FROM llm_${what}
    WHERE timestamp BETWEEN fromUnixTimestamp64Nano(${first}) - INTERVAL 1 DAY AND fromUnixTimestamp64Nano(${last}) AND ${from_sources}
)
SELECT * EXCEPT (is_stored) REPLACE (${rewrite} AS rewrite)
FROM (
    SELECT *, cityHash64(tuple(* EXCEPT (${marks}))) IN stored AS is_stored
    FROM rewrite_llm_${what}
    WHERE ${from_sources}
    ${one_of_copies}
)
WHERE NOT is_stored
SETTINGS ${one_block}
