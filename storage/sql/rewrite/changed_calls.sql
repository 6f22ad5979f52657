-- Calls that come out different now. Of several reports of one call the sweep keeps the best, and so does this: what it has taken
-- out does not come back. Of equals the one that is stored stays.
INSERT INTO rewrite_changed_calls
WITH
    stored AS (
        SELECT cityHash64(tuple(* EXCEPT (${marks})))
        FROM llm_calls
        WHERE timestamp BETWEEN fromUnixTimestamp64Nano(${first}) - INTERVAL 1 DAY AND fromUnixTimestamp64Nano(${last}) AND ${from_sources}
    ),
    built AS (
        SELECT *, cityHash64(tuple(* EXCEPT (${marks}))) IN stored AS is_stored, _block_number + 1000000 * (NOT is_stored) AS block_number, _block_offset AS block_offset
        FROM rewrite_llm_calls
    ),
    reports AS (
        SELECT timestamp, tenant, preference, block_number, block_offset, timestamp + toIntervalNanosecond(toInt64(1e9 * duration)) AS end, ${call_key} AS key
        FROM built
    ),
    copies AS (
        ${call_copies}
    )
SELECT * EXCEPT (is_stored, block_number, block_offset) REPLACE (${rewrite} AS rewrite)
FROM built
WHERE NOT is_stored AND ${from_sources} AND (timestamp, block_number, block_offset) NOT IN copies
SETTINGS ${one_block}
