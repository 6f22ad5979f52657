-- Expects the columns tenant, price_id, service_tier and timestamp. The price at the time of the call: a tenant's own before the
-- list's, that of the tier before the standard one.
dictGet('${database}.llm_price', ('rates', 'steps', 'units', 'version'),
    (
        if(dictHas('${database}.llm_price', (tenant, price_id, ''), toDateTime(timestamp)), tenant, '') AS price_tenant,
        price_id,
        if(service_tier != '' AND dictHas('${database}.llm_price', (price_tenant, price_id, service_tier), toDateTime(timestamp)), service_tier, '')
    ),
    toDateTime(timestamp))
