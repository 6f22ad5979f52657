WITH arrayMap(ms -> ms / 1000, quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(duration_ms)) AS quantiles
{quantiles_in_buckets}
