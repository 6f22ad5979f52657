WITH arrayMap(ms -> ms / 1000, quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(time_to_first_token_ms)) AS quantiles
{quantiles_in_buckets}
