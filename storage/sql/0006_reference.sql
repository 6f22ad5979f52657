-- The reference data of normalisation. Rows are loaded from storage/data and genai-prices at start
-- (storage/reference.py); the dictionaries are what the views look up.
CREATE TABLE llm_aliases (
    tenant LowCardinality(String) COMMENT 'empty: of every tenant',
    key String COMMENT 'attribute key as an SDK emits it',
    slot LowCardinality(String) COMMENT 'what it means here',
    priority UInt16 COMMENT 'of the keys that fill one slot the smallest number wins',
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

-- Which price a model name means: provider '' holds names that are clear without one, tenant '' those that all tenants mean.
CREATE TABLE llm_models (
    tenant LowCardinality(String),
    provider LowCardinality(String),
    model String,
    price_id String,
    source LowCardinality(String) COMMENT 'list: spelled out in the price list; resolved: matched by its patterns; alias: storage.prices.aliases'
) ENGINE = MergeTree ORDER BY (tenant, provider, model);

CREATE DICTIONARY llm_model (tenant String, provider String, model String, price_id String)
PRIMARY KEY tenant, provider, model SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_models')) LAYOUT(COMPLEX_KEY_HASHED()) LIFETIME(0);

-- One row a price, service tier and time during which it did not change. prices is for people. What views compute with:
-- the cost is the sum of counts times rates, USD for one. A block of rates belongs to each step; its first seven are for
-- input, cached input, cache write, 1 h cache write, output and reasoning tokens and the request itself, the others for
-- units. Counts are inclusive, so the rate of a part is what it costs more or less than the whole it belongs to. A call is
-- on the last step that its input tokens are above; they count as more by -(steps[1] + 1) each second of the day.
CREATE TABLE llm_prices (
    tenant LowCardinality(String) COMMENT 'empty: of every tenant that has none of its own',
    price_id String COMMENT 'provider/model of the price list',
    tier LowCardinality(String) COMMENT 'service tier; empty: standard',
    valid_from DateTime('UTC'),
    valid_to DateTime('UTC') COMMENT 'the last second',
    prices Map(LowCardinality(String), Array(Float64)) COMMENT 'USD by price key of genai-prices, such as input_mtok for a million input tokens; an element a step',
    steps Array(Float64),
    units Array(LowCardinality(String)) COMMENT 'keys of usage_details',
    rates Array(Float64),
    version String
) ENGINE = MergeTree ORDER BY (tenant, price_id, tier, valid_from);

CREATE DICTIONARY llm_price (
    tenant String, price_id String, tier String, valid_from DateTime, valid_to DateTime,
    rates Array(Float64), steps Array(Float64), units Array(String), version String
)
PRIMARY KEY tenant, price_id, tier SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_prices'))
LAYOUT(COMPLEX_KEY_RANGE_HASHED(range_lookup_strategy 'max')) RANGE(MIN valid_from MAX valid_to) LIFETIME(0);

-- Price lists that `llmhub prices refresh` fetched. The newest one for the installed genai-prices holds.
CREATE TABLE llm_price_lists (
    fetched_at DateTime64(6, 'UTC'),
    source String COMMENT 'URL or file',
    package LowCardinality(String) COMMENT 'the genai-prices it was fetched with',
    document String CODEC(ZSTD(6)) COMMENT 'data.json of genai-prices'
) ENGINE = MergeTree ORDER BY fetched_at;

-- Overrides that `llmhub prices override` added, beside those of storage.prices.overrides.
CREATE TABLE llm_price_overrides (
    id String,
    document String COMMENT 'JSON with the keys of storage.prices.overrides',
    removed Bool,
    added_at DateTime64(6, 'UTC') DEFAULT now64(6)
) ENGINE = ReplacingMergeTree(added_at) ORDER BY id;

-- What one unit of a currency is worth in USD. Rows: storage.prices.exchange_rates.
CREATE TABLE llm_exchange_rates (
    currency String,
    valid_from DateTime('UTC'),
    valid_to DateTime('UTC') COMMENT 'the last second',
    usd Float64
) ENGINE = MergeTree ORDER BY (currency, valid_from);

CREATE DICTIONARY llm_exchange_rate (currency String, valid_from DateTime, valid_to DateTime, usd Nullable(Float64))
PRIMARY KEY currency SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_exchange_rates'))
LAYOUT(COMPLEX_KEY_RANGE_HASHED()) RANGE(MIN valid_from MAX valid_to) LIFETIME(0);

-- Cost as computed beside cost as reported, of the calls that have both; USD at the rate of the call's day.
CREATE VIEW llm_cost_drift AS
WITH compared AS (
    SELECT
        *,
        reported_cost * dictGet('${database}.llm_exchange_rate', 'usd', if(reported_currency = '', 'USD', reported_currency), toDateTime(timestamp)) AS reported_usd
    FROM llm_calls
    WHERE reported_cost IS NOT NULL
)
SELECT
    toDate(timestamp) AS day,
    tenant, provider, model, dialect,
    countIf(compared.cost IS NOT NULL AND reported_usd IS NOT NULL) AS calls,
    sumIf(compared.cost, reported_usd IS NOT NULL) AS cost,
    sumIf(reported_usd, compared.cost IS NOT NULL) AS reported_cost,
    reported_cost - cost AS drift,
    countIf(compared.cost IS NOT NULL AND abs(reported_usd - compared.cost) > greatest(1e-9, 0.01 * compared.cost)) AS drifting_calls,
    countIf(compared.cost IS NULL) AS unpriced_calls,
    countIf(reported_usd IS NULL) AS unknown_currency_calls
FROM compared
GROUP BY day, tenant, provider, model, dialect;

-- What is content: the attributes, events and attributes of events that hold what people, models and tools said.
-- Rows: storage/data/content.csv.
CREATE TABLE llm_content_keys (
    key String COMMENT 'an attribute without its numbered parts, with SCOPE: before it where it is content on spans of that scope alone; event:NAME; @NAME for an attribute of such an event; scope:SCOPE of scopes that have keys of their own',
    rank LowCardinality(String) COMMENT 'direction, then preference: the smallest of a direction is stored',
    role LowCardinality(String) COMMENT 'of an event: who spoke'
) ENGINE = MergeTree ORDER BY key;

CREATE DICTIONARY llm_content_key (key String, rank String, role String)
PRIMARY KEY key SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_content_keys')) LAYOUT(HASHED()) LIFETIME(0);

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
