-- The price that what a call names its model leads to.
SELECT ${price_id} AS price_id
FROM (
    SELECT
        {tenant:String} AS tenant, {model:String} AS model, model AS request_model,
        dictGetOrDefault('${database}.llm_provider', 'provider', lower({provider:String}), lower({provider:String})) AS provider,
        ${short_key} AS short_key
)
