INSERT INTO rewrite_otlp_log_records (${log_columns})
SELECT ${log_columns}
FROM otel_logs
WHERE Timestamp BETWEEN fromUnixTimestamp64Nano(${first} - ${context}) AND fromUnixTimestamp64Nano(${last} + ${context}) AND ${tenants}
SETTINGS ${one_block}
