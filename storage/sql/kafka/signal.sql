-- Envelopes of ${signal} from Kafka into the landing table, with the protobuf schema that the hub's own inserts use.
-- A message is one length-delimited envelope, hence Protobuf and not ProtobufSingle.
CREATE TABLE IF NOT EXISTS kafka_${signal} (${columns}) ENGINE = Kafka SETTINGS
${settings};

CREATE TABLE IF NOT EXISTS kafka_errors (time DateTime64(3) DEFAULT now64(3), topic LowCardinality(String), partition UInt64,
    offset UInt64, error String, message String) ENGINE = MergeTree ORDER BY time TTL toDateTime(time) + INTERVAL 30 DAY;

CREATE MATERIALIZED VIEW IF NOT EXISTS kafka_${signal}_errors TO kafka_errors AS
SELECT _topic AS topic, _partition AS partition, _offset AS offset, _error AS error, _raw_message AS message
FROM kafka_${signal} WHERE _error != '';

CREATE MATERIALIZED VIEW IF NOT EXISTS kafka_${signal}_landing TO otlp_${signal} AS
SELECT * FROM kafka_${signal} WHERE _error = '';
