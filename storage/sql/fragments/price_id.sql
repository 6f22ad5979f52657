-- Expects the columns tenant, provider, model, request_model and short_key. What a tenant itself calls a model comes first.
arrayFirst(id -> id != '', arrayMap(
    key -> dictGet('${database}.llm_model', 'price_id', key),
    [(tenant, provider, lower(model)), ('', provider, lower(model)), ('', provider, short_key), ('', provider, lower(request_model)),
        ('', '', lower(model)), ('', '', short_key)]))
