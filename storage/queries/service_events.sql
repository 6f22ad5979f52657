-- Field by field the newest event that says it, and what is known from events that are gone by now.
INSERT INTO llm_service_entries (tenant, service, source, team, owner, cost_center, tier, approved_models, removed)
SELECT
    told.tenant, told.service, 'event',
    if(told.team != '', told.team, known.team),
    if(told.owner != '', told.owner, known.owner),
    if(told.cost_center != '', told.cost_center, known.cost_center),
    if(told.tier != '', told.tier, known.tier),
    if(notEmpty(told.models), told.models, known.approved_models),
    told.change IN ('retired', 'deleted')
FROM (
    SELECT
        tenant,
        if(object != '', object, llm_events.service) AS service,
        argMaxIf(if(attributes['llm_hub.asset.team'] != '', attributes['llm_hub.asset.team'], attributes['llm_hub.team']) AS said_team, timestamp, said_team != '') AS team,
        argMaxIf(attributes['llm_hub.asset.owner'], timestamp, attributes['llm_hub.asset.owner'] != '') AS owner,
        argMaxIf(attributes['llm_hub.asset.cost_center'], timestamp, attributes['llm_hub.asset.cost_center'] != '') AS cost_center,
        argMaxIf(attributes['llm_hub.asset.tier'], timestamp, attributes['llm_hub.asset.tier'] != '') AS tier,
        -- A list, which is stored as JSON, or words.
        argMaxIf(extractAll(attributes['llm_hub.asset.approved_models'], '[^\\s",\\[\\]]+') AS said_models, timestamp, notEmpty(said_models)) AS models,
        argMax(action, timestamp) AS change
    FROM llm_events
    WHERE category = 'asset' AND kind = 'llm_hub.asset.change' AND attributes['llm_hub.asset.type'] = 'service'
    GROUP BY tenant, service
) AS told
LEFT JOIN (SELECT * FROM llm_service_entries FINAL WHERE source = 'event') AS known ON known.tenant = told.tenant AND known.service = told.service
