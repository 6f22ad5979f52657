-- Expects the columns tenant, provider, model, request_model and short_key. What a tenant itself calls a model comes first; each
-- name is looked up only where those before it are unknown.
dictGetOrDefault('${database}.llm_model', 'price_id', (tenant, provider, lower(model)),
    dictGetOrDefault('${database}.llm_model', 'price_id', ('', provider, lower(model)),
        dictGetOrDefault('${database}.llm_model', 'price_id', ('', provider, short_key),
            dictGetOrDefault('${database}.llm_model', 'price_id', ('', provider, lower(request_model)),
                dictGetOrDefault('${database}.llm_model', 'price_id', ('', '', lower(model)),
                    dictGetOrDefault('${database}.llm_model', 'price_id', ('', '', short_key), ''))))))
