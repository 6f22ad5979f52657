-- Whether any of SpanAttributes may be content: true also for a few that are not. Costs a fifth of looking closely.
${has_scope_content} OR arrayExists(key -> dictHas('${database}.llm_content_key', key) OR startsWith(key, 'llm.') OR startsWith(key, 'gen_ai.prompt.') OR position(key, '.0') > 0,
    mapKeys(SpanAttributes))