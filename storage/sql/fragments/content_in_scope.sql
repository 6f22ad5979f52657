-- Whether the attribute `key` is content on spans of this scope. Expects `has_scope_content`.
(has_scope_content AND dictHas('${database}.llm_content_key', concat(ScopeName, ':', ${content_key})))