-- The reference data of normalisation. Rows are loaded from storage/data and genai-prices at start
-- (storage/reference.py); the dictionaries are what the views look up.
CREATE TABLE llm_aliases (
    tenant LowCardinality(String) COMMENT 'empty: of every tenant',
    key String COMMENT 'attribute key as an SDK emits it',
    slot LowCardinality(String) COMMENT 'what it means here',
    priority UInt8 COMMENT 'of the keys that fill one slot the smallest number wins',
    dialect LowCardinality(String),
    lookup String MATERIALIZED if(tenant = '', key, concat(tenant, '\n', key)),
    rank String MATERIALIZED if(slot = '', '', concat(leftPad(toString(priority), 3, '0'), slot)) COMMENT 'both in one, for one look-up'
) ENGINE = MergeTree ORDER BY (slot, priority);

CREATE DICTIONARY llm_alias (lookup String, rank String)
PRIMARY KEY lookup SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_aliases')) LAYOUT(HASHED()) LIFETIME(0);

-- What OpenTelemetry, gateways and frameworks call a provider, to gen_ai.provider.name ('' drops it).
CREATE TABLE llm_providers (name String, provider String) ENGINE = MergeTree ORDER BY name;

CREATE DICTIONARY llm_provider (name String, provider String)
PRIMARY KEY name SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_providers')) LAYOUT(HASHED()) LIFETIME(0);

-- What kind of work a span is: the values of the slots that name an operation, in lower case.
CREATE TABLE llm_operations (value String, role LowCardinality(String), operation LowCardinality(String)) ENGINE = MergeTree ORDER BY value;

CREATE DICTIONARY llm_operation (value String, role String, operation String)
PRIMARY KEY value SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_operations')) LAYOUT(HASHED()) LIFETIME(0);

-- Log events that report a model call or a step by themselves.
CREATE TABLE llm_log_operations (event_name String, role LowCardinality(String), operation LowCardinality(String)) ENGINE = MergeTree ORDER BY event_name;

CREATE DICTIONARY llm_log_operation (event_name String, role String, operation String)
PRIMARY KEY event_name SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_log_operations')) LAYOUT(HASHED()) LIFETIME(0);

-- Which price a model name means: provider '' holds names that are clear without one.
CREATE TABLE llm_models (provider String, model String, price_id String) ENGINE = MergeTree ORDER BY (provider, model);

CREATE DICTIONARY llm_model (provider String, model String, price_id String)
PRIMARY KEY provider, model SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_models')) LAYOUT(COMPLEX_KEY_HASHED()) LIFETIME(0);

-- USD for one million tokens, by service tier and date. The arrays hold one element a prompt-size
-- tier: element i applies to the whole request when input_tokens > prompt_sizes[i].
CREATE TABLE llm_prices (
    price_id String,
    tier LowCardinality(String),
    valid_from DateTime,
    valid_to DateTime,
    prompt_sizes Array(Int64),
    input Array(Float64),
    cache_read Array(Float64),
    cache_write Array(Float64),
    output Array(Float64),
    per_request Float64 COMMENT 'USD for one request',
    version String,
    rates Array(Float64) MATERIALIZED arrayConcat(CAST(prompt_sizes, 'Array(Float64)'), input, cache_read, cache_write, output, [per_request])
        COMMENT 'all of the above in one, for one look-up'
) ENGINE = MergeTree ORDER BY (price_id, tier, valid_from);

CREATE DICTIONARY llm_price (
    price_id String, tier String, valid_from DateTime, valid_to DateTime, rates Array(Float64), version String
)
PRIMARY KEY price_id, tier SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_prices'))
LAYOUT(COMPLEX_KEY_RANGE_HASHED(range_lookup_strategy 'max')) RANGE(MIN valid_from MAX valid_to) LIFETIME(0);

-- Who answers for a service: what the registry file says and what asset events say, see collector/registry.py.
CREATE TABLE llm_service_entries (
    tenant LowCardinality(String),
    service String,
    source LowCardinality(String) COMMENT 'file or event',
    team String,
    owner String,
    cost_center String,
    tier String,
    approved_models Array(String) COMMENT 'globs; empty: any model',
    removed Bool,
    changed_at DateTime64(6) DEFAULT now64(6)
) ENGINE = ReplacingMergeTree(changed_at) ORDER BY (tenant, service, source);

-- Field by field the file wins over events.
CREATE VIEW llm_services AS
SELECT
    tenant,
    service,
    if(anyIf(team, of_file) != '', anyIf(team, of_file), anyIf(team, NOT of_file)) AS team,
    if(anyIf(owner, of_file) != '', anyIf(owner, of_file), anyIf(owner, NOT of_file)) AS owner,
    if(anyIf(cost_center, of_file) != '', anyIf(cost_center, of_file), anyIf(cost_center, NOT of_file)) AS cost_center,
    if(anyIf(tier, of_file) != '', anyIf(tier, of_file), anyIf(tier, NOT of_file)) AS tier,
    if(notEmpty(anyIf(approved_models, of_file)), anyIf(approved_models, of_file), anyIf(approved_models, NOT of_file)) AS approved_models
FROM (SELECT *, source = 'file' AS of_file FROM llm_service_entries FINAL WHERE NOT removed)
GROUP BY tenant, service;

CREATE DICTIONARY llm_service (
    tenant String, service String, team String, owner String, cost_center String, tier String, approved_models Array(String)
)
PRIMARY KEY tenant, service SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_services')) LAYOUT(COMPLEX_KEY_HASHED()) LIFETIME(0);

-- Which content each reference table was last loaded from.
CREATE TABLE llm_reference (name String, version String, loaded_at DateTime64(3) DEFAULT now64(3))
ENGINE = ReplacingMergeTree(loaded_at) ORDER BY name;
