-- Calls that the roll-up has not counted under their key before.
CREATE OR REPLACE VIEW rewrite_new_calls AS
SELECT * FROM rewrite_after_calls
WHERE (trace_id, span_id, toStartOfMinute(timestamp), ${plain_keys}) NOT IN (
    SELECT trace_id, span_id, toStartOfMinute(timestamp), ${plain_keys} FROM rewrite_before_calls)
