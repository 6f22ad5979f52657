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

-- What is content: the attributes, events and attributes of events that hold what people, models and tools said.
-- Rows: storage/data/content.csv and storage.content.keys.
CREATE TABLE llm_content_keys (
    key String COMMENT 'an attribute without its numbered parts; event:NAME; @NAME for an attribute of such an event',
    rank LowCardinality(String) COMMENT 'direction, then preference: the smallest of a direction is stored',
    role LowCardinality(String) COMMENT 'of an event: who spoke'
) ENGINE = MergeTree ORDER BY key;

CREATE DICTIONARY llm_content_key (key String, rank String, role String)
PRIMARY KEY key SOURCE(CLICKHOUSE(${dictionary_source} TABLE 'llm_content_keys')) LAYOUT(HASHED()) LIFETIME(0);

-- Which content each reference table was last loaded from.
CREATE TABLE llm_reference (name String, version String, loaded_at DateTime64(3) DEFAULT now64(3))
ENGINE = ReplacingMergeTree(loaded_at) ORDER BY name;
