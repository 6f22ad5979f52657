multiIf(request_id != '', request_id, response_id != '', response_id, concat(trace_id, ':', span_id))
