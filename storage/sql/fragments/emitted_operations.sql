-- Expects a column slots. What emitters call the operation of a span, where several say so the best first.
slots['vercel_operation'], slots['framework_kind'], slots['operation'], slots['openinference_kind'], slots['langfuse_type'],
slots['request_type'], slots['traceloop_kind'], slots['span_type']
