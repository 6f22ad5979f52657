-- Expects rows of a common table expression `reports`: timestamp, end, tenant, key, preference, block_number, block_offset.
-- Reports with one key that overlap in time, directly or through others, are one call: all but the best are copies of it. Of equals
-- the inner one is the best, then the one that came first.
SELECT timestamp, block_number, block_offset
FROM (
    SELECT timestamp, block_number, block_offset,
        row_number() OVER (PARTITION BY tenant, key, call ORDER BY preference, timestamp DESC, block_number, block_offset) AS place
    FROM (
        SELECT *, sum(begins) OVER (PARTITION BY tenant, key ORDER BY timestamp, end ROWS UNBOUNDED PRECEDING) AS call
        FROM (
            SELECT *, timestamp > max(end) OVER (PARTITION BY tenant, key ORDER BY timestamp, end ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS begins
            FROM reports
        )
    )
)
WHERE place > 1
