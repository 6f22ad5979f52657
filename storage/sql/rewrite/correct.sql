-- What the new rows add to the roll-up less what the old ones added. A month is one part, written whole or not at all; where it
-- is, the number of the rewrite is there, too, and the month is left out. Sketches can only grow: they get the calls that are
-- new under their key and keep those that are not any more.
INSERT INTO llm_calls_1m (${keys}, ${sums}, ${sketches}, rewrite)
SELECT ${keys}, ${signed_sums}, ${added_sketches}, ${rewrite}
FROM (
    SELECT ${keys}, ${sums}, ${sketches}, 1 AS sign, false AS is_new FROM (${of_after})
    UNION ALL
    SELECT ${keys}, ${sums}, ${sketches}, -1, false FROM (${of_before})
    UNION ALL
    SELECT ${keys}, ${sums}, ${sketches}, 0, true FROM (${of_new})
)
WHERE toYYYYMM(minute) NOT IN (SELECT DISTINCT toYYYYMM(minute) FROM llm_calls_1m WHERE rewrite = ${rewrite})
GROUP BY ${keys}
SETTINGS ${one_block}
