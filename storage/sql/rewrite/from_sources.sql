((false, tenant, trace_id, span_id, toUnixTimestamp64Milli(received_at)) IN (
        SELECT is_log, tenant, trace_id, span_id, moment FROM rewrite_sources)
    OR (true, tenant, trace_id, span_id, toUnixTimestamp64Nano(timestamp) + toInt64(round(1e9 * duration))) IN (
        SELECT is_log, tenant, trace_id, span_id, moment FROM rewrite_sources))
